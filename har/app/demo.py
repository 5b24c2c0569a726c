"""A small page in the browser (gradio, an extra) that takes a photograph and shows the probability of each class."""

from pathlib import Path

from har.core.errors import HarError
from har.core.readers import listed


def page(model: str = "", *, profile: str = "", root: str | Path = "."):
    """The page, not yet started; HarError where gradio is not installed or there is no such model."""
    try:
        import gradio
    except ImportError:
        raise HarError('gradio is not installed: pip install "har-still[demo]"') from None
    from har.app.predict import load
    from har.reporting.names import class_name

    classifier = load(model, profile=profile, root=root)

    def classify(path: str | None) -> dict[str, float]:
        if path is None:
            return {}
        found = classifier.predict([path])[0]
        if found.error is not None:
            raise gradio.Error(found.error.replace(path, "the photograph"))
        return {class_name(name): share for name, share in found.probabilities.items()}

    return gradio.Interface(
        fn=classify,
        # the file itself in whatever mode it is, so that har reads it as it reads every photograph
        inputs=gradio.Image(type="filepath", image_mode=None, label="photograph"),
        outputs=gradio.Label(label="class"),
        title=f"Which is it: {listed(map(class_name, classifier.classes))}?",
        description=f"{classifier.name}. The photograph stays on this machine.",
        flagging_mode="never",
        analytics_enabled=False,
    )
