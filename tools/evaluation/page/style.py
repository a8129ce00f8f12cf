"""The look of the page."""

STYLE = """
:root{color-scheme:light dark;--line:#8886}
body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;display:block;overflow-x:auto;white-space:nowrap;font-variant-numeric:tabular-nums}
td,th{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem}
.tiles div{border:1px solid var(--line);border-radius:8px;padding:.5rem 1rem}
.tiles b{display:block;font-size:1.5rem}
svg{max-width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:currentColor}
.grid{stroke:#8884;fill:none}
figure{margin:1rem 0}figure img{max-width:100%}figcaption,.small{font-size:.87rem;opacity:.8}
.worse{color:#c0392b;font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0}
"""

MEANINGS = {
    "OKS": "1 = every labelled keypoint is exactly where the label is, 0 = far away or missing. "
    "Allowed distances grow with the person and with how unsure people are of such a point "
    "(sigma). A person who was not found counts 0.",
    "found": "a found person has OKS .1 or more with a labelled one, or half of their boxes in "
    "common (IoU); pairs are chosen for the largest sum of OKS.",
    "false": "a found person without a partner, unless half of the box lies in a crowd or in a "
    "person without labels.",
    "AP, AR": "average precision and recall by the COCO protocol: OKS thresholds .50 to .95, the "
    "20 surest people of a picture. Sure and wrong costs more than unsure and wrong.",
    "PCK .1": "share of labelled keypoints nearer than a tenth of the longer side of the person's "
    "box; a missing keypoint is wrong.",
    "PCKh": "share of the body's keypoints nearer than half a head.",
    "NME": "mean distance over the longer side of the labelled part's box, of the parts that were "
    "found; smaller is better.",
    "HOTA, IDF1, MOTA": "how well ids stay with their people through a video; 1 is perfect.",
    "jitter": "mean second difference of a keypoint's error from frame to frame, in heights of "
    "the person.",
    "jump": "a keypoint whose error is .15 heights from the middle of that before and after.",
    "lag": "by how many frames keypoints follow their labels.",
}
