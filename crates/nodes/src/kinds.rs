//! The list of node kinds: the one place where a kind is registered.
//!
//! A line is the value of `kind:`, the variant and the configuration struct, the section, what it does in one line, the
//! paper or software that it follows, and what its ports take and give. Kinds under `host` keep the contract
//! [`Kind`](crate::contract::Kind); those under `device` have a module besides
//! ([`DeviceKind`](crate::contract::DeviceKind)). `registry.rs` says what is made of the list. Corpora are listed in
//! `crates/data`.

use emorun_audio::augment as waves;

use crate::augmentations::augmentation::Augmentation;
use crate::{augmentations, blocks, encoders, generators, heads, losses, policies};

crate::registry::registry! {
    host {
        background_noise => BackgroundNoise(Augmentation<waves::BackgroundNoise>), Augmentations,
            "recorded noise, music or speech mixed in at a drawn signal-to-noise ratio",
            "Snyder, Chen & Povey, MUSAN, 2015", "waveforms of training items" => "the same, changed";
        gaussian_noise => GaussianNoise(Augmentation<waves::GaussianNoise>), Augmentations,
            "white noise of a drawn level",
            "audiomentations AddGaussianNoise and AddGaussianSNR", "waveforms of training items" => "the same, changed";
        gain => Gain(Augmentation<waves::Gain>), Augmentations,
            "louder or quieter by a drawn number of decibels",
            "audiomentations Gain", "waveforms of training items" => "the same, changed";
        polarity => Polarity(Augmentation<waves::Polarity>), Augmentations,
            "the waveform turned upside down",
            "audiomentations PolarityInversion", "waveforms of training items" => "the same, changed";
        pitch_shift => PitchShift(Augmentation<waves::PitchShift>), Augmentations,
            "higher or lower by a drawn number of semitones, at the same length",
            "Signalsmith Stretch; audiomentations PitchShift", "waveforms of training items" => "the same, changed";
        time_stretch => TimeStretch(Augmentation<waves::TimeStretch>), Augmentations,
            "faster or slower by a drawn factor, at the same pitch",
            "Signalsmith Stretch; audiomentations TimeStretch", "waveforms of training items" => "the same, changed";
        speed_perturb => SpeedPerturb(Augmentation<waves::SpeedPerturb>), Augmentations,
            "played at one of several speeds, pitch and all",
            "Ko et al., Interspeech 2015", "waveforms of training items" => "the same, changed";
        time_shift => TimeShift(Augmentation<waves::TimeShift>), Augmentations,
            "moved within its length, what falls out coming round",
            "audiomentations Shift", "waveforms of training items" => "the same, changed";
        reverb => Reverb(Augmentation<waves::Reverb>), Augmentations,
            "heard in a recorded or a synthetic room",
            "Ko et al., ICASSP 2017; Allen & Berkley, JASA 65, 1979", "waveforms of training items" => "the same, changed";
        band_pass => BandPass(Augmentation<waves::BandPass>), Augmentations,
            "only a band of frequencies, as over a telephone",
            "audiomentations BandPassFilter; ITU-T G.712", "waveforms of training items" => "the same, changed";
        codec => Codec(Augmentation<waves::Codec>), Augmentations,
            "coded at a low rate with 8 bits a sample, and decoded",
            "ITU-T G.711 and G.191", "waveforms of training items" => "the same, changed";
        clipping => Clipping(Augmentation<waves::Clipping>), Augmentations,
            "the loudest samples clipped",
            "audiomentations ClippingDistortion", "waveforms of training items" => "the same, changed";
        time_mask => TimeMask(Augmentation<waves::TimeMask>), Augmentations,
            "drawn stretches silenced",
            "audiomentations TimeMask; SpeechBrain DropChunk", "waveforms of training items" => "the same, changed";
        peak_normalise => PeakNormalise(Augmentation<waves::PeakNormalise>), Augmentations,
            "the loudest sample brought to one level",
            "audiomentations Normalize", "waveforms of training items" => "the same, changed";
        vad_trim => VadTrim(Augmentation<waves::VadTrim>), Augmentations,
            "without the silence before and after",
            "librosa.effects.trim; audiomentations Trim", "waveforms of training items" => "the same, changed";
        random_crop => RandomCrop(Augmentation<waves::RandomCrop>), Augmentations,
            "a stretch of drawn length and place",
            "system 1 of the reference: crops of 2 to 3 s", "waveforms of training items" => "the same, changed";
        pad_or_trim => PadOrTrim(Augmentation<waves::PadOrTrim>), Augmentations,
            "brought to one length",
            "audiomentations AdjustDuration", "waveforms of training items" => "the same, changed";
        one_of => OneOf(augmentations::augmentation_group::OneOf), Augmentations,
            "one of several augmentations",
            "audiomentations OneOf", "waveforms of training items" => "the same, changed";
        some_of => SomeOf(augmentations::augmentation_group::SomeOf), Augmentations,
            "a drawn number of several augmentations",
            "audiomentations SomeOf", "waveforms of training items" => "the same, changed";
        sequence => Sequence(augmentations::augmentation_group::Sequence), Augmentations,
            "several augmentations as one",
            "audiomentations Compose", "waveforms of training items" => "the same, changed";
        log_mel => LogMel(encoders::log_mel::LogMelNode), Encoders,
            "log-mel spectrogram, computed on the host",
            "torchaudio.transforms.MelSpectrogram", "input: wave" => "frames";
        mfcc => Mfcc(encoders::mfcc::MfccNode), Encoders,
            "mel-frequency cepstral coefficients, computed on the host",
            "torchaudio.transforms.MFCC", "input: wave" => "frames";
        fbank => Fbank(encoders::fbank::FbankNode), Encoders,
            "Kaldi's log filterbank energies, computed on the host",
            "Povey et al., ASRU 2011; torchaudio.compliance.kaldi.fbank", "input: wave" => "frames";
        precomputed => Precomputed(encoders::precomputed::Precomputed), Encoders,
            "features that other programs computed, from .npy and .safetensors files",
            "numpy's .npy format; safetensors; `emorun embed`", "" => "frames, vector or layer stack";
        onnx => Onnx(encoders::onnx::Onnx), Encoders,
            "frozen model from an ONNX file, run on the host (build with `--features onnx`)",
            "the ONNX standard, onnx.ai; Wagner et al., IEEE TPAMI 45, 2023, for emotion dimensions", "input: wave, or frames of a host node" => "frames, or vector";
    }
    device {
        hubert => Hubert(encoders::pretrained::Hubert), Encoders,
            "HuBERT, pretrained: frames or the stack of hidden states",
            "Hsu et al., IEEE/ACM TASLP 29, 2021", "input: wave" => "frames, or layer stack";
        wav2vec2 => Wav2Vec2(encoders::pretrained::Wav2Vec2Node), Encoders,
            "wav2vec 2.0, pretrained: frames or the stack of hidden states",
            "Baevski et al., NeurIPS 2020", "input: wave" => "frames, or layer stack";
        wavlm => WavLm(encoders::pretrained::WavLm), Encoders,
            "WavLM, pretrained: frames or the stack of hidden states",
            "Chen et al., IEEE JSTSP 16, 2022", "input: wave" => "frames, or layer stack";
        data2vec_audio => Data2VecAudio(encoders::pretrained::Data2VecAudio), Encoders,
            "data2vec for speech, pretrained: frames or the stack of hidden states",
            "Baevski et al., ICML 2022", "input: wave" => "frames, or layer stack";
        whisper => Whisper(encoders::pretrained::Whisper), Encoders,
            "encoder of Whisper, pretrained: frames or the stack of hidden states",
            "Radford et al., ICML 2023", "input: wave" => "frames, or layer stack";
        crnn => Crnn(encoders::crnn::Crnn), Encoders,
            "convolution blocks over a spectrogram, then a bidirectional GRU",
            "Zhao, Mao & Chen, Biomedical Signal Processing and Control 47, 2019", "input: frames" => "frames";
        transformer => Transformer(encoders::transformer::Transformer), Encoders,
            "transformer encoder trained from scratch",
            "Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020", "input: frames" => "frames";
        mamba => Mamba(encoders::mamba::Mamba), Encoders,
            "selective state spaces trained from scratch, linear in the length",
            "Gu & Dao, arXiv 2312.00752, 2023; Zhu et al., ICML 2024", "input: frames" => "frames";
        conv_pool => ConvPool(encoders::conv_pool::ConvPool), Encoders,
            "convolution blocks over a spectrogram, then the mean of what is left",
            "Lin, Chen & Yan, ICLR 2014", "input: frames" => "vector";
        normalise => Normalise(blocks::normalise::Normalise), Blocks,
            "zero mean and unit deviation in each band, over the training items",
            "cepstral mean and variance normalisation, per corpus", "input: frames" => "frames";
        spec_augment => SpecAugment(blocks::spec_augment::SpecAugment), Blocks,
            "random time and frequency masks while training",
            "Park et al., Interspeech 2019", "input: frames" => "frames";
        temporal_dropout => TemporalDropout(blocks::temporal_dropout::TemporalDropout), Blocks,
            "whole frames dropped at random while training",
            "system 3 of the reference", "input: frames" => "frames";
        feature_noise => FeatureNoise(blocks::feature_noise::FeatureNoise), Blocks,
            "Gaussian noise on frames while training",
            "Bishop, Neural Computation 7(1), 1995", "input: frames" => "frames";
        sequence_crop => SequenceCrop(blocks::sequence_crop::SequenceCrop), Blocks,
            "a stretch of drawn place while training",
            "system 3 of the reference", "input: frames" => "frames";
        mixup => Mixup(blocks::mixup::Mixup), Blocks,
            "items blended with one another while training, and their labels at the port `target`",
            "Zhang et al., ICLR 2018", "input: frames, or vector, target: labels" => "as the input, target: soft labels";
        weighted_sum => WeightedSum(blocks::weighted_sum::WeightedSum), Blocks,
            "learned weighted sum of an encoder's layers",
            "Yang et al., SUPERB, Interspeech 2021", "input: layer stack" => "frames";
        gru => Gru(blocks::gru::Gru), Blocks,
            "gated recurrent units in one direction: no frame knows of later ones",
            "Cho et al., EMNLP 2014; torch.nn.GRU", "input: frames" => "frames";
        causal_conv => CausalConv(blocks::causal_conv::CausalConv), Blocks,
            "convolution over time that is padded in front alone",
            "van den Oord et al., WaveNet, 2016; Bai, Kolter & Koltun 2018", "input: frames" => "frames";
        linear => Linear(blocks::linear::Linear), Blocks,
            "linear layer, activation and dropout on each frame or vector",
            "torch.nn.Linear", "input: frames, or vector" => "as the input";
        pool => Pool(blocks::pool::Pool), Blocks,
            "mean, maximum, or mean and deviation over the valid frames",
            "Snyder et al., x-vectors, ICASSP 2018", "input: frames" => "vector";
        attention_pool => AttentionPool(blocks::attention_pool::AttentionPool), Blocks,
            "multi-head attention pooling over the valid frames",
            "Lin et al., ICLR 2017", "input: frames" => "vector";
        fuse => Fuse(blocks::fuse::Fuse), Blocks,
            "several vectors or streams of frames joined, summed or gated",
            "Arevalo et al., ICLR workshop 2017", "inputs: vectors, or frames at one rate" => "as the inputs";
        align => Align(blocks::align::Align), Blocks,
            "frames brought to another rate by their exact times",
            "means over time", "input: frames" => "frames";
        vae => Vae(blocks::vae::Vae), Blocks,
            "streams of frames as a normal distribution, and a vector drawn from it",
            "Kingma & Welling, ICLR 2014; Petrovich, Black & Varol, ICCV 2021", "inputs: frames at one rate" => "vector, distribution: distribution";
        transformer_decoder => TransformerDecoder(blocks::transformer_decoder::TransformerDecoder), Blocks,
            "frames that attend to one another and to a memory",
            "Vaswani et al., NeurIPS 2017; Fan et al., FaceFormer, CVPR 2022", "inputs: frames or vectors, memory: frames" => "frames";
        gradient_reversal => GradientReversal(blocks::gradient_reversal::GradientReversal), Blocks,
            "unchanged, but its gradient turned round",
            "Ganin & Lempitsky, ICML 2015", "input: frames, or vector" => "as the input";
        attention_classifier => AttentionClassifier(heads::attention_classifier::AttentionClassifier), Heads,
            "attention pooling and a two-layer classifier",
            "Safari, India & Hernando, Interspeech 2020", "input: frames, target: labels" => "logits";
        mean_classifier => MeanClassifier(heads::mean_classifier::MeanClassifier), Heads,
            "mean pooling and a two-layer classifier",
            "Ma et al., EmoBox, Interspeech 2024", "input: frames, target: labels" => "logits";
        mlp_classifier => MlpClassifier(heads::mlp_classifier::MlpClassifier), Heads,
            "classifier of several layers on a vector",
            "multilayer perceptron; Ioffe & Szegedy, ICML 2015", "input: vector, target: labels" => "logits";
        mlp_regressor => MlpRegressor(heads::mlp_regressor::MlpRegressor), Heads,
            "regression of several layers on a vector, such as of valence and arousal",
            "multilayer perceptron; Ioffe & Szegedy, ICML 2015", "input: vector, target: values" => "vector";
        frame_regressor => FrameRegressor(heads::frame_regressor::FrameRegressor), Heads,
            "linear layer on each frame, to frames such as those of a face",
            "linear regression of sequences", "input: frames, target: frames at the same rate" => "frames";
        early_classifier => EarlyClassifier(heads::early_classifier::EarlyClassifier), Heads,
            "classifier that answers when a policy says so, before an item's end",
            "Lakomkin et al., ICRA 2018", "input: frames, target: labels, uses.policy: a policy" => "logits, whole: logits, heard: seconds, state, taken, reward: frames";
        window_rollout => WindowRollout(generators::window_rollout::WindowRollout), Generators,
            "frames generated window by window, in several samples",
            "Luo et al., ReactFace, IEEE TVCG 2024; Song et al., REACT 2024", "memory: frames, target: frames, uses.latent: a vae, uses.decoder: a transformer_decoder" => "samples, distribution: distribution";
        cross_entropy => CrossEntropy(losses::cross_entropy::CrossEntropy), Losses,
            "cross-entropy with class weights and label smoothing",
            "torch.nn.CrossEntropyLoss; Szegedy et al., CVPR 2016", "input: logits, target: labels (the head's own)" => "scalar";
        focal => Focal(losses::focal::Focal), Losses,
            "cross-entropy in which items that are classified well count less",
            "Lin et al., ICCV 2017", "input: logits, target: labels (the head's own)" => "scalar";
        soft_label_kl => SoftLabelKl(losses::soft_label_kl::SoftLabelKl), Losses,
            "divergence from the shares of raters' votes",
            "Kullback & Leibler 1951; Fayek et al., IJCNN 2016", "input: logits, target: soft labels" => "scalar";
        ccc => Ccc(losses::ccc::Ccc), Losses,
            "one minus the concordance of predicted numbers with true ones",
            "Lin, Biometrics 45, 1989", "input: vector, target: values (the head's own)" => "scalar";
        mse => Mse(losses::mse::Mse), Losses,
            "mean squared error of predicted numbers, or frames",
            "torch.nn.MSELoss", "input: vector, frames or samples, target: values or frames (the head's own)" => "scalar";
        kl_divergence => KlDivergence(losses::kl_divergence::KlDivergence), Losses,
            "divergence of distributions from the standard normal one",
            "Kingma & Welling, ICLR 2014", "input: distribution" => "scalar";
        smoothness => Smoothness(losses::smoothness::Smoothness), Losses,
            "squared second differences of predicted frames over time",
            "Whittaker 1922; system 3 of the reference", "input: frames or samples" => "scalar";
        diversity => Diversity(losses::diversity::Diversity), Losses,
            "how alike the samples of an item are",
            "Yuan & Kitani, DLow, ECCV 2020; system 3 of the reference", "input: samples" => "scalar";
        sample_contrastive => SampleContrastive(losses::sample_contrastive::SampleContrastive), Losses,
            "samples near what is true, and not all the same",
            "system 3 of the reference", "input: samples, target: frames (the generator's own)" => "scalar";
        consistency => Consistency(losses::consistency::Consistency), Losses,
            "how differently the movement of two parts of a face is spread over time",
            "system 3 of the reference", "input: frames or samples" => "scalar";
        ctc => Ctc(losses::ctc::Ctc), Losses,
            "transcripts against scores of frames, over all alignments",
            "Graves et al., ICML 2006", "input: frames, target: text" => "scalar";
        triplet => Triplet(losses::triplet::Triplet), Losses,
            "items nearer to their own class than to others by a margin",
            "Schroff et al., CVPR 2015; Hermans et al. 2017", "input: vector, target: labels" => "scalar";
        center => Center(losses::center::Center), Losses,
            "items near the learned centre of their class",
            "Wen et al., ECCV 2016", "input: vector, target: labels" => "scalar";
        supervised_contrastive => SupervisedContrastive(losses::supervised_contrastive::SupervisedContrastive), Losses,
            "items more similar to their own class than to the rest of the batch",
            "Khosla et al., NeurIPS 2020", "input: vector, target: labels" => "scalar";
        reinforce => Reinforce(policies::reinforce::Reinforce), Policies,
            "policy that learns from the rewards that followed, less a baseline",
            "Williams, Machine Learning 8, 1992", "state, reward: of `run`, or frames of a rollout" => "actions, where it is held";
        ppo => Ppo(policies::ppo::Ppo), Policies,
            "policy that learns in small steps from generalised advantages",
            "Schulman et al. 2017; Schulman et al., ICLR 2016", "state, reward: of `run`, or frames of a rollout" => "actions, where it is held";
        random_policy => RandomPolicy(policies::random_policy::RandomPolicy), Policies,
            "policy that chooses at random",
            "uniform draws", "" => "actions, where it is held";
        fixed_policy => FixedPolicy(policies::fixed_policy::FixedPolicy), Policies,
            "policy that always takes the same action",
            "a constant", "" => "actions, where it is held";
    }
}
