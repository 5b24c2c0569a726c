"""Label images by their captions and draw the subset."""

from har.coco.curate import curate as choose
from har.coco.manifest import write_manifest
from har.files import write_csv, write_text
from stages.context import Context, stage


def curate(context: Context) -> None:
    rule = context.profile.curate
    found = choose(
        context.data / "annotations/captions.json",
        context.data / "annotations/instances.json",
        classes={label: c.model_dump() for label, c in rule.classes.items()},
        person_words=rule.person_words,
        min_captions=rule.min_captions,
        precedence=rule.precedence,
        require_person=rule.require_person,
        extended=rule.extended,
        seed=rule.seed,
    )
    write_manifest(found.manifest, context.data / "manifest.csv")
    write_csv(context.data / "evidence.csv", found.evidence)
    write_csv(context.reports / "funnel.csv", found.funnel)
    write_text(context.reports / "funnel.md", found.funnel.to_markdown(index=False) + "\n")
    print(found.funnel.to_string(index=False))


if __name__ == "__main__":
    stage(curate)
