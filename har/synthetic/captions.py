"""Five captions an image from a small grammar: five annotators of varied wording, care and attention."""

from collections.abc import Iterable

from har.synthetic import lexicon as lex
from har.synthetic.labels import ACTIVITIES, ANIMALS, COLOURS
from har.synthetic.random import Dice
from har.synthetic.scene import Person, Prop, Scene

_MOST_WORDS = 16


def _with_article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _verb(person: Person, doing: str = "") -> str:
    """What the person does, or would be taken to do."""
    doing = doing or person.activity
    walks = "running" if person.running else "walking"
    return walks if doing == "walking_running" else doing


class _Annotator:
    """Notices some of the scene, says some of what it notices."""

    def __init__(self, scene: Scene, dice: Dice, talkative: float) -> None:
        self.scene, self.dice, self.talkative = scene, dice, talkative
        self.main = [p for p in scene.people if p.main]
        self.others = [p for p in scene.people if not p.main]
        self.animals = [p for p in scene.props if p.kind in ANIMALS]

    # -- noun phrases -------------------------------------------------------------------------------------

    def _called(self, people: list[Person]) -> tuple[str, bool]:
        """A noun phrase for the people and whether it is plural."""
        dice = self.dice
        kinds = {p.kind: None for p in people}
        if len(people) == 1:
            return _with_article(dice.weighted(lex.ONE[people[0].kind])), False
        if len(kinds) == 1 and dice.chance(0.6):
            noun = dice.weighted(lex.MANY[people[0].kind])
            number = lex.NUMBERS.get(len(people), "several") if dice.chance(0.7) else "a group of"
            return f"{number} {noun}", True
        if len(people) == 2:
            if dice.chance(0.45) and len(kinds) == 2:
                first, second = (_with_article(dice.weighted(lex.ONE[p.kind])) for p in people)
                return f"{first} and {second}", True
            return dice.weighted(lex.PAIRS), True
        if dice.chance(0.3):
            return f"{lex.NUMBERS.get(len(people), 'several')} people", True
        return dice.weighted(lex.GROUPS), True

    def _dressed(self, person: Person) -> str:
        dice = self.dice
        garment = "dress" if person.legwear == "dress" else dice.pick(lex.UPPER[person.sleeves])
        forms = [f"in {_with_article(f'{person.top} {garment}')}"]
        if person.legwear != "dress":
            lower = f"{person.bottom} {dice.pick(lex.LOWER[person.legwear])}"
            forms.append(f"in {_with_article(lower)}" if person.legwear == "skirt" else f"in {lower}")
        forms.append(f"in {person.top}")
        if person.hat:
            forms += ["wearing a cap" if person.hat == "cap" else "wearing a hat"] * 2
        if person.hair_style == "long":
            forms.append("with long hair")
        if person.backpack:
            forms += [f"with {_with_article(person.backpack + ' backpack')}", "with a backpack"]
        return dice.pick(forms)

    def _thing(self, prop: Prop) -> str:
        forms = lex.THINGS[prop.kind]
        if prop.people:
            forms = tuple(f for f in forms if "empty" not in f)
        return self._coloured(forms, prop.colour)

    def _coloured(self, forms: tuple[str, ...], colour: str) -> str:
        return self.dice.pick(forms).replace("{}", colour).replace("a orange", "an orange")

    def _at_place(self) -> str:
        return self.dice.pick(lex.PLACES[self.scene.place])

    # -- clauses ------------------------------------------------------------------------------------------

    def _doing(self, verb: str, plural: bool) -> str:
        singular, several, participle, _ = self.dice.weighted([(v, v[3]) for v in lex.VERBS[verb]])
        return self._inflect(singular, several, participle, plural)

    def _inflect(self, singular: str, several: str, participle: str, plural: bool) -> str:
        style = self.dice.weighted((("bare", 5), ("finite", 2.4), ("is", 2.2)))
        if style == "bare":
            return participle
        if style == "finite" or participle == "seated":
            return several if plural else singular
        return f"{'are' if plural else 'is'} {participle}"

    def _where(self, person: Person, verb: str) -> str:
        dice, place = self.dice, self.scene.place
        if verb in ("walking", "running") and dice.chance(0.7):
            return dice.pick(lex.WAYS[place])
        if verb == "sitting" and person.seat and dice.chance(0.75):
            if person.seat == "ground":
                return lex.GROUND[place]
            index = self.scene.people.index(person)
            colour = next((p.colour for p in self.scene.props if index in p.people), "")
            return self._coloured(lex.SEATS[person.seat], colour)
        return self._at_place()

    def _extra(self) -> str:
        """A closing remark: light, a thing near by, or nothing."""
        dice, scene = self.dice, self.scene
        remarks = list(lex.LIGHT[scene.lighting])
        # Seats that are taken are named with who sits on them, animals more readily than things.
        for prop in scene.props:
            if not prop.people:
                remarks += [f"{dice.pick(lex.NEAR)} {self._thing(prop)}"] * (4 if prop.kind in ANIMALS else 1)
        return dice.pick(remarks) if remarks and dice.chance(0.42) else ""

    # -- whole captions -----------------------------------------------------------------------------------

    def people(self, activity: bool) -> str:
        """A caption of a scene with people; without `activity` nothing in it says what anybody's legs do."""
        moods = (("say", self.talkative), ("silent", 0.95 - self.talkative), ("off", 0.05))
        mood = self.dice.weighted(moods) if activity else "silent"
        if mood != "say":
            return self._off() if mood == "off" else self._silent()
        doings = list(dict.fromkeys(p.activity for p in self.main))
        if len(doings) > 1:
            return self._mixed(doings)
        if self.others and self.dice.chance(0.1):
            return self._background()
        return self._clause(self.main)

    def _clause(self, people: list[Person]) -> str:
        dice, person, verb = self.dice, people[0], _verb(people[0])
        subject, plural = self._called(people)
        there = "there are" if plural else "there is"
        lead = there if dice.chance(0.05) else ""
        dress = self._dressed(person) if not plural and dice.chance(0.38) else ""
        doing = self._doing(verb, plural)
        if lead and not doing.endswith(("ing", "ing down", "ing around", "seated")):
            lead = ""
        if lead and doing.split()[0] in ("is", "are"):
            doing = doing.split(" ", 1)[1]
        where, tail = self._where(person, verb), self._extra()
        held = person.pose.holds
        if held and not plural and dice.chance(0.4):
            item = self._coloured(lex.HELD[held], person.extra)
            tail = f"{'reading' if held == 'book' else 'holding'} {item}"
        return self._join(lead, subject, dress, doing, where, tail)

    def _mixed(self, doings: list[str]) -> str:
        """People who differ: an annotator names both activities, or only the one that caught the eye."""
        parts = [[p for p in self.main if p.activity == doing] for doing in doings]
        if not self.dice.chance(0.45):
            return self._clause(parts[0] if self.dice.chance(0.65) else parts[1])
        (first, plural), (second, several) = self._called(parts[0]), self._called(parts[1])
        a, b = self._doing(_verb(parts[0][0]), plural), self._doing(_verb(parts[1][0]), several)
        between = "while" if self.dice.chance(0.6) else "and"
        return self._join(first, a, between, second, b, self._at_place())

    def _background(self) -> str:
        """The main people, and what somebody does behind them."""
        subject, plural = self._called(self.main)
        second = lex.VERBS[_verb(self.others[0])][0][2]
        doing = self._doing(_verb(self.main[0]), plural)
        somebody = self.dice.pick(("a person", "someone", "a man", "others"))
        return self._join(subject, doing, f"with {somebody}", second, "in the background")

    def _silent(self) -> str:
        dice, person = self.dice, self.main[0]
        subject, plural = self._called(self.main)
        place, held = self._at_place(), person.pose.holds
        if held and not plural and dice.chance(0.5):
            verb = lex.USED.get(held, lex.USED[""])
            item = self._coloured(lex.HELD[held], person.extra)
            return self._join(subject, f"{self._inflect(*verb, plural)} {item}", place)
        if dice.chance(0.5):
            return self._join(subject, self._inflect(*dice.pick(lex.NEUTRAL), plural), place, self._extra())
        dress = self._dressed(person) if not plural and dice.chance(0.6) else ""
        return self._join("a photo of" if dice.chance(0.1) else "", subject, dress, place, self._extra())

    def _off(self) -> str:
        """Wrong, or about somebody else: a verb that is not the main people's."""
        dice = self.dice
        subject, plural = self._called(self.main)
        if self.animals and dice.chance(0.6):
            animal = dice.pick(self.animals)
            return self._join(subject, "with", self._thing(animal), lex.VERBS[animal.posture][0][2], self._at_place())
        if self.others and dice.chance(0.6):
            return self._clause([dice.pick(self.others)])
        wrong = dice.pick([a for a in ACTIVITIES if a != self.main[0].activity])
        doing = self._doing(_verb(self.main[0], wrong), plural)
        return self._join(subject, doing, self._at_place(), self._extra())

    def empty(self, activity: bool) -> str:
        """A caption of a scene without people; without `activity` none of what animals do, nor where things stand."""
        dice, place = self.dice, self._at_place()
        if self.animals and dice.chance(0.85):
            animal = self.animals[0]
            verb = self._inflect(*lex.VERBS[animal.posture][0][:3], False)
            name = self._thing(animal)
            return self._join(name, verb if dice.chance(0.85) and activity else "", place, self._extra())
        things = [p for p in self.scene.props if p.kind not in ANIMALS]
        if not things:
            return self._join("a view of an empty scene", place, *(lex.LIGHT[self.scene.lighting][:1]))
        first = dice.pick(things)
        verb = dice.weighted((("", 5), (" standing", 1.4), (" sitting", 1.2)))
        plain = self._thing(first) + (verb if activity else "")
        second = dice.pick(things)
        also = f"{dice.pick(lex.NEAR)} {self._thing(second)}" if second is not first and dice.chance(0.6) else ""
        return self._join(plain, place, also)

    def _join(self, *parts: str) -> str:
        kept = [part for part in parts if part]
        while sum(len(part.split()) for part in kept) > _MOST_WORDS:
            kept.pop()
        text = " ".join(kept)
        return text + ("." if self.dice.chance(0.4) else "")


def captions(scene: Scene, activity: bool = True) -> list[str]:
    """Five captions in lower case, at most 16 words each; equal scenes have equal captions.

    About three quarters name the activity of the main people, a fifth is silent about it, one in twenty is off;
    without `activity` all are silent about it (the control of what captions teach).
    """
    dice = Dice(scene.seed, scene.image_id, 5)
    # Annotators of one image agree more than chance: some pictures simply do not invite the verb.
    talkative = 0.87 if dice.chance(0.8) else 0.24
    annotator = _Annotator(scene, dice, talkative)
    return [annotator.people(activity) if annotator.main else annotator.empty(activity) for _ in range(5)]


def _words(table: object) -> Iterable[str]:
    if isinstance(table, str):
        yield from table.replace("{}", " ").split()
    elif isinstance(table, (dict, tuple)):
        for value in table.values() if isinstance(table, dict) else table:  # keys name kinds, they are not spoken
            yield from _words(value)


def vocabulary() -> list[str]:
    """Every word the grammar can emit, sorted, without punctuation."""
    tables = [table for name, table in vars(lex).items() if name.isupper()]
    return sorted({*_words((*tables, *COLOURS))})
