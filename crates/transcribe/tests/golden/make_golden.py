"""Makes search.json, segments.json, fallback.json and ctc.json beside this file: what transformers' `generate`, its cutting of windows and
`Wav2Vec2CTCTokenizer` say.

    python make_golden.py        (torch, transformers 5)

The model of search.json is a formula of the last two tokens and the length, so that any program can be asked in its place.
"""
import json, math, pathlib, tempfile
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration, Wav2Vec2CTCTokenizer, GenerationConfig
from transformers.generation import GenerationMixin, LogitsProcessorList
from transformers.generation.logits_process import (SuppressTokensLogitsProcessor, SuppressTokensAtBeginLogitsProcessor,
                                                    WhisperTimeStampLogitsProcessor)
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

HERE = pathlib.Path(__file__).parent
VOCABULARY, END, NO_TIMES = 60, 40, 45


def logits(ids, seed):
    rows = []
    for row in ids.tolist():
        a, b, n = row[-1], row[-2], len(row)
        rows.append([4.0 * math.sin(seed * 1.7 + a * 0.913 + b * 0.377 + v * v * 0.591 + n * 0.211)
                     + (seed % 4) * 0.02 * n * (v == END) for v in range(VOCABULARY)])
    return torch.tensor(rows, dtype=torch.float32)


class Formula(WhisperForConditionalGeneration):
    seed = 0

    def forward(self, decoder_input_ids=None, encoder_outputs=None, **_):
        return Seq2SeqLMOutput(logits=logits(decoder_input_ids, self.seed)[:, None, :])


def search():
    config = WhisperConfig(vocab_size=VOCABULARY, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1,
                           decoder_attention_heads=1, encoder_ffn_dim=8, decoder_ffn_dim=8, num_mel_bins=8,
                           pad_token_id=END, bos_token_id=END, eos_token_id=END, decoder_start_token_id=41,
                           max_target_positions=64, max_source_positions=16, suppress_tokens=None, begin_suppress_tokens=None)
    model = Formula(config).eval()
    cases = []
    for seed in range(24):
        model.seed = seed
        times, ngram = seed % 2 == 1, [0, 3, 2][seed % 3]
        prompt = [41, 42, 43] if times else [41, 42, 43, NO_TIMES]
        suppress, begin = [[3, 5, 41, 42, 43], [11, END]] if seed % 4 < 3 else [[41, 42, 43], [END]]
        initial = 8 if seed % 5 else None
        for beams, penalty, early in [(1, 1.0, False), (5, 1.0, False), (5, 0.6, "never"), (5, 1.2, True)]:
            generation = GenerationConfig(eos_token_id=END, pad_token_id=END, decoder_start_token_id=41, num_beams=beams,
                                          max_length=24, length_penalty=penalty, early_stopping=early, use_cache=False,
                                          no_repeat_ngram_size=ngram, return_dict_in_generate=True, output_scores=True)
            processors = [SuppressTokensLogitsProcessor(suppress),
                          SuppressTokensAtBeginLogitsProcessor(begin, len(prompt))]
            if times:
                generation.no_timestamps_token_id = NO_TIMES
                generation.max_initial_timestamp_index = initial
                processors.append(WhisperTimeStampLogitsProcessor(generation, begin_index=len(prompt)))
            out = GenerationMixin.generate(model, encoder_outputs=BaseModelOutput(torch.zeros(1, 4, 8)),
                                           decoder_input_ids=torch.tensor([prompt]), generation_config=generation,
                                           logits_processor=LogitsProcessorList(processors))
            score = out.sequences_scores[0].item() if beams > 1 else None
            cases.append(dict(seed=seed, prompt=prompt, suppress=suppress, begin_suppress=begin, no_repeat_ngram=ngram,
                              timestamps=times, max_initial=initial, beams=beams, length_penalty=penalty,
                              early_stopping=str(early), tokens=out.sequences[0, len(prompt):].tolist(), score=score))
    (HERE / "search.json").write_text(json.dumps(cases, separators=(",", ":")).replace('},{', '},\n{') + "\n")


def ctc():
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|"] + list("EATOINSH'")
    vocab = {token: number for number, token in enumerate(letters)}
    cases = []
    generator = torch.Generator().manual_seed(7)
    for lower in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "vocab.json"
            path.write_text(json.dumps(vocab))
            tokenizer = Wav2Vec2CTCTokenizer(str(path), do_lower_case=lower)
            for length in [0, 1, 5] + [40] * 9:
                ids = torch.randint(0, len(letters), (length,), generator=generator)
                ids = torch.where(torch.rand(length, generator=generator) < 0.4, torch.roll(ids, 1) if length else ids, ids)
                cases.append(dict(lower=lower, path=ids.tolist(), text=tokenizer.decode(ids)))
    (HERE / "ctc.json").write_text(json.dumps(dict(vocab=vocab, cases=cases), separators=(",", ":")) + "\n")


def segments():
    """Windows as the rules of timestamps let them be: pairs that do not decrease, ended in every way."""
    generator = torch.Generator().manual_seed(11)
    draw = lambda low, high: int(torch.randint(low, high, (1,), generator=generator))
    cases = []
    for number in range(36):
        tokens, time = [], 0
        for part in range(number % 4):
            begin = time + draw(0, 20)
            time = begin + draw(1, 200)
            tokens += [50 + begin] + [draw(0, 49) for _ in range(draw(1, 5))] + [50 + time]
        ending = number % 3
        if ending == 1:
            tokens += [50 + time]
        elif ending == 2:
            tokens += [50 + time + number % 2] + [draw(0, 49) for _ in range(draw(1, 4))]
        tokens = tokens or [7, 8]
        offset, frames = 30.0 * (number % 5) / 4, 3000 if number % 2 else draw(1400, 2999)
        found, advance = WhisperForConditionalGeneration._retrieve_segment(
            torch.tensor(tokens), [None], torch.tensor([offset], dtype=torch.float64), 50, torch.tensor([frames]), 0.02, 0.01,
            2, 0, 0, False, torch.zeros(1, 3))
        cases.append(dict(tokens=tokens, offset=offset, frames=frames, advance=int(advance), segments=[
            [float(s["start"]), float(s["end"]), s["idxs"][0] - 3, s["idxs"][1] - 3] for s in found]))
    (HERE / "segments.json").write_text(json.dumps(cases, separators=(",", ":")).replace('},{', '},\n{') + "\n")


def fallback():
    from types import SimpleNamespace as Space
    from transformers.generation.logits_process import WhisperNoSpeechDetection
    cases = []
    for thresholds in [(2.4, -1.0, 0.6), (None, -1.0, 0.6), (2.4, -1.0, None), (2.4, None, None)]:
        for ratio in (1.0, 3.0):
            for likely in (-0.5, -1.5):
                for silent in (0.1, 0.9):
                    heard = WhisperNoSpeechDetection.__new__(WhisperNoSpeechDetection)
                    heard._no_speech_prob = [silent]
                    limits = Space(compression_ratio_threshold=thresholds[0], logprob_threshold=thresholds[1],
                                   no_speech_threshold=thresholds[2])
                    this = Space(_retrieve_compression_ratio=lambda *_: ratio, _retrieve_avg_logprobs=lambda *_: likely)
                    again, skip = WhisperForConditionalGeneration._need_fallback(
                        this, None, [dict(scores=None)], 0, [heard], limits, 60, 0.0)
                    cases.append([thresholds, [ratio, likely, silent], again, skip])
    (HERE / "fallback.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


search()
segments()
fallback()
ctc()
