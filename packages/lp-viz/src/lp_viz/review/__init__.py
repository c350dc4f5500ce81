"""The review page: look at predictions in a browser, correct them, and add frames to the labels. No torch.

`lp_viz.review.project.open_review` reads what there is to see; `lp_viz.review.serve.serve` shows it. Needs `lp-viz[review]`.
"""
