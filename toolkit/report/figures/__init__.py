"""The report's figures as inline SVG, each a function of a run and a width in pixels. They compute no metric."""
