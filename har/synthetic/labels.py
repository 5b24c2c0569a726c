"""Names and numbers of the generated world: activities, places, lighting, objects, colours, licences."""

ACTIVITIES = ("walking_running", "sitting", "standing")

PLACES = (
    "street", "park", "beach", "field", "living room", "kitchen", "office", "platform", "plaza", "trail", "snow",
)  # fmt: skip
INDOOR = ("living room", "kitchen", "office")
LIGHTING = ("noon", "overcast", "dusk", "night", "indoor")
PEOPLE_BUCKETS = ("none", "one", "two", "three or four", "five or more")

# COCO's own category ids by its supercategories, so that an instances file reads like COCO's.
CATEGORIES = {
    "vehicle": {"bicycle": 2, "car": 3, "bus": 6, "boat": 9},
    "outdoor": {"traffic light": 10, "stop sign": 13, "bench": 15},
    "animal": {"bird": 16, "cat": 17, "dog": 18, "horse": 19, "cow": 21},
    "accessory": {"backpack": 27, "umbrella": 28, "handbag": 31, "suitcase": 33},
    "sports": {"sports ball": 37, "kite": 38, "surfboard": 42},
    "kitchen": {"cup": 47},
    "furniture": {"chair": 62, "couch": 63, "potted plant": 64, "dining table": 67},
    "electronic": {"tv": 72, "cell phone": 77},
    "indoor": {"book": 84},
}
OBJECTS = {name: number for members in CATEGORIES.values() for name, number in members.items()}
ANIMALS = tuple(CATEGORIES["animal"])
PERSON_ID = 1

# Targets of a supervised pre-training: name -> number of classes. None of them tells the activity.
FACTORS = {
    "place": len(PLACES),
    "lighting": len(LIGHTING),
    "people": len(PEOPLE_BUCKETS),
    **{name: 2 for name in OBJECTS},
}

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip

# COCO's eight licences, in COCO's own numbering.
LICENCES = (
    (1, "Attribution-NonCommercial-ShareAlike License", "http://creativecommons.org/licenses/by-nc-sa/2.0/"),
    (2, "Attribution-NonCommercial License", "http://creativecommons.org/licenses/by-nc/2.0/"),
    (3, "Attribution-NonCommercial-NoDerivs License", "http://creativecommons.org/licenses/by-nc-nd/2.0/"),
    (4, "Attribution License", "http://creativecommons.org/licenses/by/2.0/"),
    (5, "Attribution-ShareAlike License", "http://creativecommons.org/licenses/by-sa/2.0/"),
    (6, "Attribution-NoDerivs License", "http://creativecommons.org/licenses/by-nd/2.0/"),
    (7, "No known copyright restrictions", "http://flickr.com/commons/usage/"),
    (8, "United States Government Work", "http://www.usa.gov/copyright.shtml"),
)

# (width, height, weight): the shapes one meets in COCO val2017.
SIZES = (
    ((640, 480), 27), ((640, 427), 24), ((480, 640), 10), ((427, 640), 7), ((640, 426), 5), ((500, 375), 5),
    ((612, 612), 2.5), ((640, 425), 3), ((640, 360), 3), ((500, 333), 2.5), ((375, 500), 2), ((333, 500), 2),
    ((640, 640), 1.5), ((640, 424), 1.5), ((640, 512), 1), ((480, 360), 1), ((640, 359), 0.7), ((428, 640), 1),
    ((300, 400), 0.6), ((640, 310), 0.4), ((640, 536), 0.6),
)  # fmt: skip

COLOURS = {
    "red": (196, 48, 44), "blue": (48, 92, 178), "green": (58, 128, 72), "yellow": (226, 188, 58),
    "orange": (222, 122, 44), "purple": (122, 72, 148), "pink": (222, 132, 158), "white": (232, 230, 224),
    "black": (44, 44, 50), "gray": (134, 136, 140), "brown": (118, 82, 56), "tan": (198, 170, 128),
    "teal": (42, 132, 140), "navy": (38, 50, 92),
}  # fmt: skip
SKINS = (
    (250, 216, 190), (240, 196, 164), (228, 178, 140), (206, 152, 112), (178, 122, 84), (146, 96, 64),
    (112, 72, 48), (84, 54, 38),
)  # fmt: skip
HAIRS = (
    (34, 28, 26), (54, 38, 30), (84, 56, 36), (124, 84, 48), (176, 132, 72), (212, 176, 112), (150, 146, 142),
    (138, 62, 34),
)  # fmt: skip
