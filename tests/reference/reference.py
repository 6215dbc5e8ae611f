"""The reference implementation: transformers' Qwen2.5-VL, loaded and run one prompt at a time."""
import os

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging

torch.set_num_threads(1)
logging.disable_progress_bar()


class Reference:
    """A checkpoint folder opened in one dtype. Saved files are always loaded anew for another
    dtype: casting a live model would round its rotary frequencies too."""

    def __init__(self, folder, dtype=torch.float32):
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model, info = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder, dtype=dtype, output_loading_info=True)
        bad = {k: v for k, v in info.items() if v}
        if bad:
            raise ValueError("%s: tensors do not match the model: %s" % (folder, bad))
        self.model.eval()

    def inputs(self, case, image_folder):
        """The processor's output for a case: input_ids, mm_token_type_ids and, with pictures,
        pixel_values and image_grid_thw."""
        images = [Image.open(os.path.join(image_folder, p)) for p in case["images"]]
        pictures = [{"type": "image"} for _ in images]
        text = [{"type": "text", "text": case["prompt"]}]
        content = pictures + text if case["image_order"] == "first" else text + pictures
        messages = [{"role": "user", "content": content}]
        if case["system"] is not None:
            messages.insert(0, {"role": "system", "content": case["system"]})
        prompt = self.processor.apply_chat_template(messages, add_generation_prompt=True)
        return self.processor(text=[prompt], images=images or None, return_tensors="pt")

    def logits(self, inputs, extra_ids=()):
        """float32 logits [vocab] after the prompt and extra_ids, recomputed without a cache."""
        extra = torch.tensor([list(extra_ids)], dtype=torch.long)
        kinds = inputs["mm_token_type_ids"]
        given = dict(inputs, input_ids=torch.cat([inputs["input_ids"], extra], 1),
                     mm_token_type_ids=torch.cat([kinds, torch.zeros_like(extra).to(kinds)], 1))
        given["attention_mask"] = torch.ones_like(given["input_ids"])
        self.model.model.rope_deltas = None
        with torch.no_grad():
            return self.model(**given, use_cache=False, logits_to_keep=1).logits[0, -1].float()

    def generate(self, inputs, n):
        """Greedy ids and float32 logits [n, vocab] from transformers' own loop with its cache."""
        self.model.model.rope_deltas = None
        with torch.no_grad():
            out = self.model.generate(
                **inputs, max_new_tokens=n, do_sample=False, repetition_penalty=1.0,
                temperature=None, output_logits=True, return_dict_in_generate=True)
        ids = out.sequences[0, inputs["input_ids"].shape[1]:].tolist()
        return ids, torch.cat(out.logits).float()


def relative_l2(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))
