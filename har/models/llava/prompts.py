"""What a generative model is asked, and the answers that stand for the classes.

Such models favour what stands first or last in a list (Zheng et al. 2024, "Large Language Models Are Not Robust
Multiple Choice Selectors"), so every question is put with the labels in several orders.
"""

from collections.abc import Mapping
from itertools import permutations


def orders(labels: Mapping[str, str], which: str) -> list[tuple[str, ...]]:
    """The orders in which the answers are listed: "all" of them, or the "rotations" of one, in which each answer
    stands once in each place. They start from the sorted answers, so that the order of classes in params.yaml has no
    say."""
    answers = sorted(labels.values())
    if which == "all":
        return list(permutations(answers))
    return [tuple(answers[shift:] + answers[:shift]) for shift in range(len(answers))]


def prompt(template: str, question: str, order: tuple[str, ...]) -> str:
    """The text before the answer. template holds {question} (and <image>), question holds {labels}."""
    listed = ", ".join(order[:-1]) + f" or {order[-1]}"
    return template.replace("{question}", question.replace("{labels}", listed))
