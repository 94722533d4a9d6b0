"""Where the lessons explain what an exercise asks for."""

import re
from dataclasses import dataclass

PADDING = "02_attention", "Padding: who else is on the stage?"
DECODERS = "03_translator", "Luong's decoder and Bahdanau's"
MISTAKES = (  # for mistakes whose name matches and that belong to one of these exercises
    ("mask|padding|pad_|empty", "attend masked_softmax LuongDecoder BahdanauDecoder", PADDING),
    ("root|scaled|norm", "scaled_dot_score", ("02_attention", "Appendix · What is √d for?")),
    ("mask|ahead", "self_attention MultiHeadAttention", ("07_self_attention", "Don't look ahead")),
)
SECTIONS = {
    "lengths_to_mask": PADDING,
    "sequence_loss": ("01_bottleneck", "Three translators, one difference"),
    "Encoder": ("01_bottleneck", "Three translators, one difference"),
    "Decoder": ("01_bottleneck", "Three translators, one difference"),
    "greedy_decode": ("03_translator", "One loop: think, look, write"),
    "bleu_by_length": ("01_bottleneck", "Where does the sentence get lost?"),
    "dot_score": ("02_attention", "All words of all sentences at once"),
    "scaled_dot_score": ("02_attention", "Four ways to score"),
    "MultiplicativeScore": ("02_attention", "Four ways to score"),
    "AdditiveScore": ("02_attention", "Four ways to score"),
    "masked_softmax": PADDING,
    "attend": ("02_attention", "Four steps by hand"),
    "LuongDecoder": DECODERS,
    "BahdanauDecoder": DECODERS,
    "train_step": ("03_translator", "It works"),
    "translate": ("03_translator", "One loop: think, look, write"),
    "translator": ("03_translator", "It works"),
    "plot_attention": ("04_alignment", "A map beside the truth"),
    "hard_alignment": ("04_alignment", "Count the links that are right"),
    "alignment_error_rate": ("04_alignment", "Count the links that are right"),
    "attention_entropy": ("04_alignment", "Which words look sharply?"),
    "coverage": ("04_alignment", "Left out, or said twice"),
    "self_attention": ("07_self_attention", "Turn the spotlight around"),
    "causal_mask": ("07_self_attention", "Don't look ahead"),
    "MultiHeadAttention": ("07_self_attention", "Heads: several looks at the same time"),
    "positional_encoding": ("07_self_attention", "Positions: who did what to whom"),
    "TransformerBlock": (
        "08_gpt_and_bert",
        "The block: a vector goes straight through, and two parts add to it",
    ),
    "next_word_batch": ("08_gpt_and_bert", "GPT: a next word, again and again"),
    "sample": ("08_gpt_and_bert", "Temperature decides how boldly to write"),
    "generate": ("08_gpt_and_bert", "GPT: a next word, again and again"),
    "mask_tokens": ("08_gpt_and_bert", "BERT: a blank, from both sides"),
    "beam_search": ("03_translator", "One loop: think, look, write"),
    "compare_systems": ("03_translator", "Appendix · Is a difference real?"),
}


@dataclass(frozen=True)
class Section:
    """A heading of a lesson. `url` leads to it on the web edition, if its address is known."""

    lesson: str
    heading: str
    url: str = ""

    @property
    def page(self):
        """Its place below the address of the web edition. Sphinx makes ids of headings in this way."""
        plain = self.heading.lower().encode("ascii", "ignore").decode()
        return f"lessons/{self.lesson}.html#{re.sub('[^a-z0-9]+', '-', plain).strip('-')}"


def section(name, mistake=None, site=""):
    """Return the `Section` that explains the exercise called `name`, or a mistake in it, or None."""
    found = SECTIONS.get(name)
    for pattern, names, place in MISTAKES:
        if mistake and name in names.split() and re.search(pattern, mistake):
            found = place
            break
    if not found:
        return None
    made = Section(*found)
    return Section(*found, f"{site.rstrip('/')}/{made.page}") if site else made
