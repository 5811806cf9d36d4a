"""The command that says what is here, what is missing, and the command that mends it."""

import sys

from toolkit.cli.options import app, terminal, wake_keras

MEND = "pip install --upgrade"


@app.command()
def doctor() -> None:
    """Versions, devices, what is missing and the command that mends it; status 1 where something needed is."""
    from rich.table import Table

    from toolkit.environment import device, lacking, unseen_gpu, versions

    console, wanting = terminal(), lacking()
    table = Table("package", "version", box=None, pad_edge=False)
    for package, number in versions().items():
        table.add_row(package, number)
    console.print(table)
    needed = wanting.pop("", [])
    if needed:
        names = " ".join(f"'{requirement.split(' (')[0]}'" for requirement in needed)
        console.print(f"\nMissing: {', '.join(needed)}\n  {MEND} {names}", highlight=False, markup=False)
        sys.exit(1)
    wake_keras()
    here = device()
    seen = ", ".join(here["accelerators"]) or "no GPU or TPU"
    console.print(
        f"\nKeras computes with {here['backend']} on {seen}; {here['cores']} cores of {here['processor']}, "
        f"{here['system']}.",
        highlight=False,
        markup=False,
    )
    if unseen_gpu():
        extra = "tensorflow[and-cuda]" if here["backend"] == "tensorflow" else "jax[cuda13]"
        console.print(f"There is a GPU that {here['backend']} does not see:\n  {MEND} '{extra}'", markup=False)
    extras = Table("extra", "state", "the command that brings it", box=None, pad_edge=False, title_justify="left")
    for name, missing in sorted(wanting.items()):
        brings = f"{MEND} 'touchstone-vision\\[{name}]'" if missing else ""
        extras.add_row(name, f"lacks {', '.join(missing)}".replace("[", "\\[") if missing else "here", brings)
    console.print("\nExtras, none of which is needed:")
    console.print(extras)
