"""The exact prompts of Q-Align, OneAlign, DeQA-Score and Q-Scorer for mPLUG-Owl2."""

IMAGE_MARK = "<|image|>"
TASKS = ("quality", "aesthetics", "video")
VARIANTS = ("newline", "space", "github")
QUESTIONS = {
    "quality": "How would you rate the quality of this image?",
    "aesthetics": "How would you rate the aesthetics of this image?",
    "video": "How would you rate the quality of this video?",
}
STEMS = {
    "quality": "The quality of the image is",
    "aesthetics": "The aesthetics of the image is",
    "video": "The quality of the video is",
}
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
NO_LABEL = -100


def prompt_text(task: str, variant: str = "newline") -> str:
    """The prompt and the answer's stem, without the answer's last word.

    task: quality or aesthetics of an image, or quality of a video. variant: newline, used by the upstream scorers and Q-Scorer's
    `.score()`; space, used by the upstream evaluation scripts, whose figures the papers report (for aesthetics the image comes first);
    github, used by Q-Align's `.score()` on GitHub, which swaps two words of the answer.
    """
    question, stem = QUESTIONS[task], STEMS[task]
    if variant == "github":
        _, asked, *_, subject, last = stem.split()
        stem = f"The {subject} of the {asked} {last}"
    if variant == "space" and task == "aesthetics":
        return f"USER: {IMAGE_MARK}{question} ASSISTANT: {stem}"
    gap = " " if variant == "space" else "\n"
    return f"USER: {question}\n{IMAGE_MARK}{gap}ASSISTANT: {stem}"


def training_prompt(question: str) -> str:
    """The training prompt: unlike the scoring prompt, with a system sentence and the image first."""
    return f"{SYSTEM} USER: {IMAGE_MARK}\n{question} ASSISTANT:"
