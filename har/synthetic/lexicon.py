"""The words of the caption grammar: tables only, so that the vocabulary can be read off."""

# Per kind of person: what annotators call one, and several.
ONE = {
    "man": (("man", 6), ("guy", 1.2), ("person", 1.6), ("young man", 1)),
    "woman": (("woman", 6), ("lady", 1.4), ("person", 1.6), ("young woman", 1)),
    "boy": (("boy", 4), ("young boy", 1.5), ("child", 1.5), ("kid", 1)),
    "girl": (("girl", 4), ("young girl", 1.5), ("little girl", 1), ("child", 1.5)),
}
MANY = {
    "man": (("men", 5), ("guys", 1)), "woman": (("women", 5), ("ladies", 1)),
    "boy": (("boys", 4), ("kids", 1)), "girl": (("girls", 4), ("children", 1)),
}  # fmt: skip
PAIRS = (("a couple", 1.5), ("two people", 3), ("a couple of people", 1.5), ("a pair of people", 0.5))
GROUPS = (("a group of people", 4), ("several people", 2), ("some people", 1.5), ("people", 1.5), ("a few people", 1.5))
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}

# (singular, plural, participle) of each activity, with weights; the first word decides what a keyword rule sees.
VERBS = {
    "walking": (("walks", "walk", "walking", 8), ("strolls", "stroll", "strolling", 0.7)),
    "running": (("runs", "run", "running", 6), ("jogs", "jog", "jogging", 2.5), ("races", "race", "racing", 0.5)),
    "sitting": (("sits", "sit", "sitting", 8), ("is seated", "are seated", "seated", 1.2),
                ("sits down", "sit down", "sitting down", 0.8), ("rests", "rest", "resting", 0.6)),
    "standing": (("stands", "stand", "standing", 8), ("poses", "pose", "posing", 0.8),
                 ("stands around", "stand around", "standing around", 0.5), ("waits", "wait", "waiting", 0.4)),
    "lying": (("lies", "lie", "lying", 1),),
}  # fmt: skip
# Silent captions: nothing here names an activity.
NEUTRAL = (
    ("looks at the camera", "look at the camera", "looking at the camera"),
    ("enjoys the day", "enjoy the day", "enjoying the day"),
    ("spends time", "spend time", "spending time"),
    ("looks away", "look away", "looking away"),
    ("talks", "talk", "talking"),
)

PLACES = {
    "street": ("on a street", "on a city street", "on the sidewalk", "in the city", "outside some buildings"),
    "park": ("in a park", "in the park", "on the grass", "in a grassy area", "near some trees"),
    "beach": ("on a beach", "on the beach", "at the beach", "on the sand", "by the ocean"),
    "field": ("on a field", "on a sports field", "on a soccer field", "on the grass"),
    "living room": ("in a living room", "in the living room", "in a room", "inside a house"),
    "kitchen": ("in a kitchen", "in the kitchen", "in a large kitchen"),
    "office": ("in an office", "in the office", "in a room", "inside an office"),
    "platform": ("at a train station", "on a platform", "on a train platform", "at the station"),
    "plaza": ("in a plaza", "in a square", "in front of a building", "near some arches"),
    "trail": ("on a trail", "on a mountain trail", "in the mountains", "on a dirt path", "near some hills"),
    "snow": ("in the snow", "on a snowy hill", "on the snow", "near some snowy trees"),
}
WAYS = {
    "street": ("down the street", "along the sidewalk", "across the street", "down a city street"),
    "park": ("through the park", "across the grass", "along a path", "through a park"),
    "beach": ("along the beach", "down the beach", "across the sand"),
    "field": ("across a field", "across the grass", "across a sports field"),
    "living room": ("through a living room", "across the room", "through a room"),
    "kitchen": ("through a kitchen", "across the kitchen"),
    "office": ("through an office", "across the office"),
    "platform": ("along the platform", "through a train station", "down the platform"),
    "plaza": ("across a plaza", "through a square", "past a building"),
    "trail": ("up a trail", "along a dirt path", "down a mountain trail", "through the mountains"),
    "snow": ("through the snow", "across the snow", "up a snowy hill"),
}
GROUND = {
    "street": "on the sidewalk", "park": "on the grass", "beach": "on the sand", "field": "on the grass",
    "living room": "on the floor", "kitchen": "on the floor", "office": "on the floor",
    "platform": "on the ground", "plaza": "on the ground", "trail": "on the ground", "snow": "in the snow",
}  # fmt: skip
SEATS = {
    "chair": ("on a chair", "in a chair", "on a {} chair", "in a {} chair"),
    "bench": ("on a bench", "on a park bench", "on a bench"),
    "couch": ("on a couch", "on a sofa", "on a {} couch", "on a {} sofa"),
    "step": ("on some steps", "on the steps", "on the stairs"),
    "wall": ("on a low wall", "on a stone wall", "on a wall"),
    "rock": ("on a rock", "on a large rock"),
}
LIGHT = {
    "noon": ("on a sunny day", "under a blue sky", "on a sunny day"), "overcast": ("on a cloudy day", "on a gray day"),
    "dusk": ("at sunset", "at dusk", "in the evening"), "night": ("at night", "at night", "in the dark"), "indoor": (),
}  # fmt: skip
THINGS = {
    "chair": ("an empty chair", "a {} chair", "a chair"), "bench": ("a bench", "an empty bench", "a wooden bench"),
    "couch": ("a {} couch", "a couch", "a sofa"), "dining table": ("a table", "a wooden table"),
    "tv": ("a tv", "a television"), "potted plant": ("a plant", "a potted plant"), "bush": ("a bush", "some bushes"),
    "wall": ("a low wall",), "step": ("some steps",), "rock": ("a large rock",),
    "car": ("a {} car", "a parked car"), "bus": ("a {} bus", "a bus"), "boat": ("a boat", "a {} boat"),
    "bicycle": ("a bike", "a bicycle", "a {} bike"), "traffic light": ("a traffic light",),
    "stop sign": ("a stop sign", "a red stop sign"), "umbrella": ("a beach umbrella", "a {} umbrella"),
    "suitcase": ("a suitcase", "a {} suitcase"), "sports ball": ("a ball", "a soccer ball"),
    "kite": ("a {} kite", "a kite"), "surfboard": ("a surfboard",),
    "dog": ("a dog", "a {} dog"), "cat": ("a cat", "a {} cat"), "bird": ("a bird", "a {} bird"),
    "horse": ("a horse", "a {} horse"), "cow": ("a cow", "a {} cow"),
}  # fmt: skip
HELD = {
    "cell phone": ("a phone", "a cell phone"), "cup": ("a cup", "a cup of coffee"), "book": ("a book",),
    "umbrella": ("an umbrella", "a {} umbrella"), "handbag": ("a bag", "a {} bag"),
}  # fmt: skip
USED = {
    "cell phone": ("looks at", "look at", "looking at"), "book": ("reads", "read", "reading"),
    "": ("holds", "hold", "holding"), "handbag": ("carries", "carry", "carrying"),
}  # fmt: skip
UPPER = {"long": ("jacket", "shirt", "sweater"), "short": ("shirt", "top"), "none": ("top", "shirt")}
LOWER = {"trousers": ("pants", "jeans"), "shorts": ("shorts",), "skirt": ("skirt",), "dress": ("dress",)}
NEAR = ("next to", "near", "by", "beside", "in front of")
# What the grammar puts between the tables.
GLUE = (
    "a an and are at background cap empty few group hair hat in is long",
    "of on others photo scene several someone the there view wearing while",
    "with backpack person man people reading holding",
)
