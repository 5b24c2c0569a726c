"""Whose a photograph is: COCO's licence ids (the `licenses` of its annotation files) and its place on Flickr."""

import re

LICENCES = {
    1: ("CC BY-NC-SA 2.0", "https://creativecommons.org/licenses/by-nc-sa/2.0/"),
    2: ("CC BY-NC 2.0", "https://creativecommons.org/licenses/by-nc/2.0/"),
    3: ("CC BY-NC-ND 2.0", "https://creativecommons.org/licenses/by-nc-nd/2.0/"),
    4: ("CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/"),
    5: ("CC BY-SA 2.0", "https://creativecommons.org/licenses/by-sa/2.0/"),
    6: ("CC BY-ND 2.0", "https://creativecommons.org/licenses/by-nd/2.0/"),
    7: ("No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    8: ("United States Government work", "https://www.usa.gov/government-works"),
}

# http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg is server/number_secret_size
_FLICKR = re.compile(r"https?://\w+\.static\.?flickr\.com/\d+/(\d{1,18})_[0-9a-f]+(?:_\w)?\.jpg", re.ASCII)


def licence(number: int) -> tuple[str, str]:
    """Name and address; an id that COCO does not have is told as such, without an address."""
    return LICENCES.get(number, (f"Licence {number}, not one of COCO's" if number else "Licence not told", ""))


def photo_page(flickr_url: str) -> str:
    """Where Flickr names the author of a COCO photograph, which COCO does not; '' for other addresses."""
    match = _FLICKR.fullmatch(flickr_url)
    return f"https://www.flickr.com/photo.gne?id={match.group(1)}" if match else ""
