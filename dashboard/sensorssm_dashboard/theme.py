"""What `theme.toml` cannot say: the mark of the project, white tiles, tight lines."""

from __future__ import annotations

from typing import Final

#: A trace that leaves its band, in the colours of the charts.
MARK: Final = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="6" fill="#22282c"/>
<path d="M4 15 Q10 9 16 15 T28 15 V21 Q22 27 16 21 T4 21 Z" fill="#b9cbd5" opacity=".45"/>
<path d="M4 18 Q7 14 10 15 T16 18 L20 7 L23 20 L28 18" fill="none" stroke="#fbfcfc"
 stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/>
<circle cx="20" cy="7" r="2.6" fill="#c4262e"/></svg>"""

_WORDMARK: Final = MARK.replace('viewBox="0 0 32 32"', 'viewBox="0 0 158 32"').replace(
    "</svg>",
    '<text x="42" y="23" font-family="Source Sans, Helvetica, Arial, sans-serif" font-size="22"'
    ' textLength="110" font-weight="600" fill="INK">sensorssm</text></svg>',
)


def wordmark(scheme: str | None) -> str:
    """Return the name as a picture for a scheme, "light" or "dark": a picture has no page's own."""
    return _WORDMARK.replace("INK", "#e4e8ea" if scheme == "dark" else "#22282c")


#: Constant text: nothing from a store ever enters it.
CSS: Final = """
<style>
[data-testid="stMetric"], [data-testid="stGridCell"], [class*="st-key-tile"],
[data-testid="stVegaLiteChart"] { background: light-dark(#fbfcfc, #1d2326); border-radius: 4px; }
[data-testid="stMetric"] > div { padding: 0.4rem 0.8rem; }
[data-testid="stAlertContainer"] { padding: 0.55rem 0.9rem; }
[data-testid="stPageLink"] a { padding-left: 0; }
[data-testid="stPageLink"] p { font-weight: 600; }
h1 { padding: 0.2rem 0 !important; }
@media (max-width: 640px) { /* an alarm's words under its badges: beside them is no room */
  [class*="st-key-tile"] { flex-wrap: wrap !important; }
  [class*="st-key-tile"] > [data-testid="stElementContainer"] { flex-basis: 100% !important; }
}
</style>
"""
