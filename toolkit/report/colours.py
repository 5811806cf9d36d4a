"""The colours of the report, light and dark, and the style sheets that use them. It draws nothing."""

import re
from importlib.resources import files

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'Liberation Sans',sans-serif"
# One colour a contestant, told apart by people who see fewer colours too, and by the marker's shape besides.
CONTESTANTS = (
    ("#2463a6", "#c2570c", "#1f8058", "#7a4db3", "#b92f60", "#856900", "#0c7a8a", "#59616d"),
    ("#6fb0f0", "#f2a05a", "#5fc79d", "#bb9bea", "#f08cab", "#d9bd55", "#5ec6d6", "#a7afbb"),
)
COLOURS = len(CONTESTANTS[0])
LEVELS = 12  # shades of a confusion matrix
PALEST = (0.07, 0.1)  # opacity of the first shade
INK = {
    "paper": ("#ffffff", "#14171b"),
    "raised": ("#f4f5f7", "#1e2228"),
    "ink": ("#1b1f24", "#e8eaed"),
    "muted": ("#5d6570", "#9aa3ae"),
    "line": ("#e2e5e9", "#2d333b"),
    "accent": ("#2463a6", "#6fb0f0"),
}


def variables(dark: bool) -> dict[str, str]:
    """Every colour by the name that the style sheets call it."""
    theme = int(dark)
    values = {"font": FONT, **{name: pair[theme] for name, pair in INK.items()}}
    values |= {f"k{number}": colour for number, colour in enumerate(CONTESTANTS[theme])}
    steps = [PALEST[theme] + (1 - PALEST[theme]) * level / (LEVELS - 1) for level in range(LEVELS)]
    return values | {f"q{level}": f"{opacity:.3f}" for level, opacity in enumerate(steps)}


def page_style() -> str:
    """The style sheet of the page: as the reader's device wants it, or as the button says; on paper always light."""
    light, dark = (
        f"color-scheme:{name};" + ";".join(f"--{key}:{value}" for key, value in variables(name == "dark").items())
        for name in ("light", "dark")
    )
    device = "@media screen and (prefers-color-scheme:dark)"
    themes = f":root{{{light}}}{device}{{:root:not([data-theme=light]){{{dark}}}}}"
    chosen = f"@media screen{{:root[data-theme=dark]{{{dark}}}}}"
    return themes + chosen + _figures() + template("style.css")


def standalone(markup: str) -> str:
    """An `<svg>` element as the text of an .svg file, for light paper, its colours written out for other programs."""
    values = variables(dark=False)
    sheet = re.sub(r"var\(--(\w+)\)", lambda found: values[found[1]], _figures())
    head, _, rest = markup.partition(">")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f"{head}><style>svg{{background:{values['paper']}}}{sheet}</style>{rest}\n"


def template(name: str) -> str:
    """The text of a file beside this one."""
    return (files("toolkit.report") / "templates" / name).read_text(encoding="utf-8")


def _figures() -> str:
    kinds = "".join(f".k{number}{{color:var(--k{number})}}" for number in range(COLOURS))
    shades = "".join(f".q{level}{{fill:var(--k0);fill-opacity:var(--q{level})}}" for level in range(LEVELS))
    return template("figure.css").replace("\n", "") + kinds + shades
