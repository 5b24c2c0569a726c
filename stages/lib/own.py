"""The user's own images as params.yaml names them."""

from har.data.folder.find import Listing, find_in_folder, find_in_table
from stages.lib.context import Context


def listing(context: Context) -> Listing:
    data = context.profile.data
    if data.source == "folder":
        return find_in_folder(data.folder.root, data.folder.groups)
    table = data.csv
    columns = {"image": table.image, "label": table.label, "group": table.group, "split": table.split}
    return find_in_table(table.file, table.root, **columns, groups=data.folder.groups)
