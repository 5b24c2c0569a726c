"""How many images each rule of curation kept."""

import pandas as pd

from har.reporting.names import class_name
from har.reporting.table import Column, Table, count


def funnel_table(funnel: pd.DataFrame, own: bool = False, grouped: bool = False) -> Table:
    """The funnel (rule, images, images_<class>).

    Args:
        funnel: of a curation.
        own: whether the images are the user's own, so that no caption is read.
        grouped: whether images belong to groups.
    """
    rows = funnel.astype(object).where(funnel.notna(), None).to_dict("records")
    columns = [Column("rule", "Rule"), Column("images", "Images", count)]
    columns += [
        Column(name, class_name(name.removeprefix("images_")), count) for name in funnel if name.startswith("images_")
    ]
    notes = []
    if grouped:
        notes.append(
            "Images belong to groups, as frames of a clip: no group straddles a split or a fold, and intervals draw "
            "whole groups."
        )
    title = f"From {'the images found' if own else 'captions'} to images"
    return Table("funnel", title, "How many images each rule kept, and for which class.", rows, columns, notes)
