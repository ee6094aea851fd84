"""Lists the commands: `python -m model`. Each has --help."""

import argparse
import sys

from model.common.command_line import run

COMMANDS = {
    "score": "score images, folders and videos",
    "evaluate": "how well a model's scores agree with labels, and whether another model is better",
    "finetune": "train an adapter on ratings, data sets or labels",
    "adapters": "the adapters in a data folder, and which one everyone on the page uses",
    "adaptation": "how many ratings it takes until a model scores as its raters do, simulated",
    "registry": "the named models: method, size, memory, scale, training data, licence",
    "datasets": "what a data set holds, and its labels as other programs' training files",
    "bench": "how fast a model is on this machine",
    "percentiles": "the table for a score's percentile among photographs",
    "precision": "how much scores change with fewer bits",
    "sensitivity": "how a score falls as images are damaged, kind by kind",
    "regions": "how often scores of an image's quarters find the damaged one",
    "convert": "a published mPLUG-Owl2 folder in safetensors",
    "train": "train nano from scratch",
    "soup": "the mean of several trainings' weights",
    "compare": "the systems that were trained together, side by side on a test part",
    "conversion_error": "how much of a MOS the labels of Q-Align and DeQA-Score lose",
    "reproduce": "the tables of the Q-Scorer paper at nano's scale",
    "near_duplicates": "near-duplicates among images, by perceptual hash",
    "label_noise": "how similar the MOS of two images of one scene are",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model", description="List the commands, one a line.")

    def program() -> int:
        parser.parse_args()
        print("Commands (python -m model.NAME --help explains each):\n")
        for name, summary in COMMANDS.items():
            print(f"  {name:<17} {summary}")
        return 0

    return run(program)


if __name__ == "__main__":
    sys.exit(main())
