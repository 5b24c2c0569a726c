"""What rows and terms of the tables mean: results and page show the list, tables have it as tooltips."""

import re

ROWS = {
    "CNN_base": "three convolutional blocks and two dense layers, trained from scratch",
    "FNN_base": "dense layers on the pixels, with about as many parameters as CNN_base, trained from scratch",
    "CNN_gen": "CNN_base with batch normalisation, dropout, weight decay and augmentation",
    "ViT": "a vision transformer pre-trained without captions, fine-tuned with a new head",
    "CLIP": "an encoder pre-trained on images with captions, fine-tuned with a new head on its image embedding",
    "CLIP, mean of patches": "the same, its head on the mean of the patches, as transformers' class for CLIP has it, "
    "which the paper names",
    "SigLIP2": "another encoder pre-trained on images with captions, fine-tuned with a new head",
    "MultimodalClassifier": "a small network on CLIP's frozen image embeddings",
    "FeatureClassifier": "a small network on how similar CLIP's frozen embeddings are to the classes' texts",
    "Metadata only, no picture": "logistic regression on image size and what is annotated of persons",
    "Majority class": "the most frequent class of the training images, for every image",
}
TERMS = {
    "zero-shot (captions only)": "the class whose texts are most similar to the image; no labelled image is used",
    "Probe on": "logistic regression on the frozen embeddings of an encoder",
    "Ensemble": "mean of the log-probabilities of several rows",
    "views": "an image is seen several times: whole, mirrored, in crops",
    "person boxes": "the annotated box of the largest person is seen as well; a new image has none",
    "Test": "the small test set, cut from the same drawn images as train and validation",
    "Extended": "further images that satisfy the labelling rule, at most curate.extended; no model was trained or "
    "chosen on them",
    "Held out": "test and extended images together",
    "Out of fold": "each image predicted by models that were fitted without it",
    "Interval": "in square brackets: the values over all images of this kind that these images agree with "
    "(report.confidence, 95%)",
    "Runs": "trainings that differ in their random seed",
    "Balanced accuracy": "mean recall of the classes, each of which counts the same however many images it has",
    "Macro F1": "mean over classes of the harmonic mean of precision and recall",
    "NLL": "mean negative logarithm of the true class's probability; lower is better",
    "Brier": "mean squared error of the probabilities, summed over classes; lower is better",
    "ECE": "expected calibration error: how far confidence lies from accuracy; lower is better",
    "Temperature": "what log-probabilities are divided by to be calibrated; above 1 the model was overconfident",
    "Verdict": "better or worse: the interval leaves out 0; as good: it lies within the margin; else not shown",
    "Detectable": "the least true difference that the comparison would find in 80% of the cases",
    "Holm": "adjusted for the number of tests",
    "κ": "Cohen's kappa: agreement beyond chance, 1 at most",
    "Jaccard": "of the images that either misses, the share that both miss",
    "Patch AUC": "how well a map ranks the patches that show people before the others; 0.5 is chance",
    "Deletion": "probability of the predicted class as the most relevant patches are removed; lower is better",
    "Insertion": "the same as the most relevant patches are shown first; higher is better",
    "Flips": "share of images whose predicted class changes",
}
GLOSSARY = ROWS | TERMS


def meaning(text: str) -> str:
    """What the name of a row, or the title of a column, means; empty where the glossary does not say."""
    if text in ROWS:
        return ROWS[text]
    return "; ".join(
        f"{term}: {told}" for term, told in TERMS.items() if re.search(rf"\b{re.escape(term)}", text, re.I)
    )


def markdown() -> str:
    return "\n".join(f"- **{term}**: {told}" for term, told in GLOSSARY.items())
