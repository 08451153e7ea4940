"""Draws figures as bars, as SVG."""

BAR, WIDTH, LABELS, GAP = 15, 420, 250, 30
FIRST, OTHERS = "#1f6f8b", "#b8c4cc"


def text(x, y, words, more=""):
    return f'<text x="{x}" y="{y}"{more}>{words}</text>'


def bars(groups):
    """Of each `(title, [(name, per cent), …])` a bar for each name, highest first; the first name stands out."""
    drawn, top = [], 8
    for title, figures in groups:
        drawn.append(text(8, top + 12, title, ' font-weight="bold"'))
        product = figures[0][0]
        for n, (name, value) in enumerate(sorted(figures, key=lambda figure: -figure[1])):
            y, width = top + 20 + n * BAR, round(value / 100 * WIDTH, 1)
            drawn += [text(LABELS - 6, y + 11, name, ' text-anchor="end"'),
                      f'<rect x="{LABELS}" y="{y + 2}" width="{width}" height="{BAR - 4}" '
                      f'fill="{FIRST if name == product else OTHERS}"/>',
                      text(round(LABELS + width + 5, 1), y + 11, f"{value:.1f}")]
        top += GAP + len(figures) * BAR
    width = LABELS + WIDTH + 20
    size = f'width="{width}" height="{top}" viewBox="0 0 {width} {top}"'
    font = 'font-family="sans-serif" font-size="12" fill="#222"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
                      '<rect width="100%" height="100%" fill="#fff"/>', *drawn, "</svg>\n"])
