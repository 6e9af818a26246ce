//! The reviewed table of corpora: where they are, how large, with which hash and under which licence.
//!
//! Hashes and sizes are the publishers' own where they publish any (Zenodo, OpenSLR's `md5sum.txt`, Git LFS), and were
//! compared with independent records. What could not be confirmed is left empty: of such an archive the recordings are
//! known ([`Contents`]), and its hash is recorded once it was unpacked and they are in it ([`crate::Record`]), and checked
//! from then on.

/// A corpus and how to get it.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name on the command line, that of its kind of dataset.
    pub name: &'static str,
    /// What it is, in a line.
    pub title: &'static str,
    /// Folder below `data/` where experiments look for it.
    pub folder: &'static str,
    /// Its page.
    pub page: &'static str,
    /// What its use is bound to.
    pub licence: Licence,
    /// What its authors ask to cite.
    pub cite: &'static str,
    /// How to get it.
    pub how: How,
}

/// What the use of a corpus is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Licence {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub url: &'static str,
    /// What it means for research, in a line.
    pub note: &'static str,
}

/// How to get a corpus.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// By downloading archives.
    Archives(&'static [RemoteFile]),
    /// By downloading each file of a folder of a Git repository with large-file storage.
    Lfs(Lfs),
    /// By downloading a folder of a Git repository.
    Repository(Repository),
    /// By asking its owners: what to do, in order.
    Request(&'static [&'static str]),
}

/// An archive.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile {
    /// Name of the part of the corpus that it holds.
    pub part: &'static str,
    /// Whether it is fetched when no part is named.
    pub default: bool,
    /// Where it is.
    pub url: &'static str,
    /// Name of the archive on the disk.
    pub name: &'static str,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its MD5, where that is what the publisher gives.
    pub md5: Option<&'static str>,
    /// Its SHA-256.
    pub sha256: Option<&'static str>,
    /// Leading folders in the archive that are left out.
    pub strip: usize,
    /// What has to be in it, where nobody publishes a hash or it does not come over HTTPS.
    pub contents: Option<Contents>,
}

/// The recordings of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    /// The folder that holds them, with a slash at its end.
    pub folder: &'static str,
    /// Number of WAV files.
    pub files: usize,
    /// SHA-256 of their names in order, one a line.
    pub names_sha256: &'static str,
}

/// A folder of a Git repository whose files are in large-file storage: the repository's own archive holds, in place of
/// each, a pointer with its SHA-256 and size.
#[derive(Clone, Copy, Debug)]
pub struct Lfs {
    /// Archive of the commit (gzipped tar) with the pointers. Its own bytes may change; what it says may not.
    pub pointers_url: &'static str,
    /// Address of the stored files, ahead of their paths.
    pub files_url: &'static str,
    /// The folder, with a slash at its end.
    pub folder: &'static str,
    /// SHA-256 of the lines `sha256 size path`, ordered by path, of all pointers in the folder.
    pub listing_sha256: &'static str,
    /// Number of files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that the archive holds themselves.
    pub plain: &'static [PlainFile],
}

/// A folder of a Git repository, out of the archive of a commit.
#[derive(Clone, Copy, Debug)]
pub struct Repository {
    /// Archive of the commit (gzipped tar). Its own bytes may change; what it holds may not.
    pub url: &'static str,
    /// The folder, without a slash at its end.
    pub folder: &'static str,
    /// Number of files in the folder.
    pub files: usize,
    /// SHA-256 of the lines `blob path`, ordered by path below the folder, with the SHA-1 that Git names each file by
    /// (`git ls-tree -r COMMIT:FOLDER` has both).
    pub listing_sha256: &'static str,
}

/// A file in a repository's archive.
#[derive(Clone, Copy, Debug)]
pub struct PlainFile {
    /// Its path.
    pub path: &'static str,
    /// Its SHA-256.
    pub sha256: &'static str,
}

const CC_BY: Licence = Licence {
    name: "CC BY 4.0",
    url: "https://creativecommons.org/licenses/by/4.0/",
    note: "any use, with attribution",
};

/// EmoDB's recordings, after the metadata that EmoBox publishes of them.
const EMODB: Contents = Contents {
    folder: "wav/",
    files: 535,
    names_sha256: "abdf612080e27e54a6de7ac5c076a7a3d80860d4b09410829dcc4dd8066234ef",
};

macro_rules! librispeech {
    ($($part:literal, $size:literal, $md5:literal, $sha256:literal;)*) => {
        &[$(RemoteFile {
            part: $part,
            default: false,
            url: concat!("https://www.openslr.org/resources/12/", $part, ".tar.gz"),
            name: concat!($part, ".tar.gz"),
            size: Some($size),
            md5: Some($md5),
            sha256: Some($sha256),
            strip: 1,
            contents: None,
        }),*]
    };
}

/// All corpora, in the order in which they are listed.
pub const SOURCES: [Source; 8] = [
    Source {
        name: "ravdess",
        title: "RAVDESS: 24 actors, eight emotions, English speech and song",
        folder: "ravdess",
        page: "https://zenodo.org/records/1188976",
        licence: Licence {
            name: "CC BY-NC-SA 4.0",
            url: "https://creativecommons.org/licenses/by-nc-sa/4.0/",
            note: "non-commercial use, with attribution, shared alike",
        },
        cite: "Livingstone & Russo, PLOS ONE 13(5), 2018, doi:10.1371/journal.pone.0196391",
        how: How::Archives(&[
            RemoteFile {
                part: "speech",
                default: true,
                url: "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
                name: "Audio_Speech_Actors_01-24.zip",
                size: Some(208_468_073),
                md5: Some("bc696df654c87fed845eb13823edef8a"),
                sha256: None,
                strip: 0,
                contents: None,
            },
            RemoteFile {
                part: "song",
                default: false,
                url: "https://zenodo.org/records/1188976/files/Audio_Song_Actors_01-24.zip",
                name: "Audio_Song_Actors_01-24.zip",
                size: Some(225_505_317),
                md5: Some("5411230427d67a21e18aa4d466e6d1b9"),
                sha256: None,
                strip: 0,
                contents: None,
            },
        ]),
    },
    Source {
        name: "emodb",
        title: "EmoDB: ten speakers, seven emotions, German speech",
        folder: "emodb",
        page: "https://zenodo.org/records/7447302",
        licence: Licence {
            name: "CC BY 4.0 (the record), CC0 1.0 (the tables in it)",
            url: "https://creativecommons.org/licenses/by/4.0/",
            note: "any use, with attribution; the original download carries no licence text",
        },
        cite: "Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss, Interspeech 2005",
        how: How::Archives(&[
            // Its authors' own edition 1.3.0: the same recordings, and tables in audformat beside them. Length and MD5
            // are what Zenodo's record says, as others who read it have written down.
            RemoteFile {
                part: "all",
                default: true,
                url: "https://zenodo.org/records/7447302/files/emodb.zip",
                name: "emodb.zip",
                size: Some(39_981_818),
                md5: Some("9d21362dbc5676ef3ab4745d83ced0db"),
                sha256: None,
                strip: 1,
                contents: None,
            },
            // The page of 2005, which has no HTTPS.
            RemoteFile {
                part: "original",
                default: false,
                url: "http://emodb.bilderbar.info/download/download.zip",
                name: "download.zip",
                size: None,
                md5: None,
                sha256: None,
                strip: 0,
                contents: Some(EMODB),
            },
        ]),
    },
    Source {
        name: "cremad",
        title: "CREMA-D: 91 actors, six emotions, English speech",
        folder: "CREMA-D",
        page: "https://github.com/CheyneyComputerScience/CREMA-D",
        licence: Licence {
            name: "ODbL 1.0, contents DbCL 1.0",
            url: "https://opendatacommons.org/licenses/odbl/1-0/",
            note: "any use, with attribution; a changed database is shared alike",
        },
        cite: "Cao, Cooper, Keutmann, Gur, Nenkova & Verma, IEEE Transactions on Affective Computing 5(4), 2014",
        how: How::Lfs(Lfs {
            pointers_url: "https://codeload.github.com/CheyneyComputerScience/CREMA-D/tar.gz/1658cd342dff90010aa843eaeebd53610a08b1dc",
            files_url: "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/1658cd342dff90010aa843eaeebd53610a08b1dc/",
            folder: "AudioWAV/",
            listing_sha256: "d32bdfe4cf8ce0507f3e30cede482ee1c95d59c05b3baf7be32cdbda4d91fb26",
            files: 7442,
            bytes: 605_899_936,
            plain: &[
                PlainFile {
                    path: "LICENSE.txt",
                    sha256: "e76747a4efa4b338914bb3f930b5d3d3c3ac15b886bbabf897f6a19731f987f8",
                },
                PlainFile {
                    path: "SentenceFilenames.csv",
                    sha256: "d88cb50e84bbc30b2e159cdfc25e1cf87777ad97c7c41d6ab8f75d3383b8f740",
                },
                PlainFile {
                    path: "VideoDemographics.csv",
                    sha256: "e33ddc8b60bedf98541735801127cbb67098b5957271adbdd5dea8a44294eec3",
                },
                PlainFile {
                    path: "processedResults/summaryTable.csv",
                    sha256: "fb0e382700d32c0d9adc0c6815292215a36bcf912f2657048862c91e3bd2b317",
                },
                PlainFile {
                    path: "processedResults/tabulatedVotes.csv",
                    sha256: "774d9d759cb5caf2542758a39eca8c0f1d2777f9987ff5d5adf8066d192f377b",
                },
            ],
        }),
    },
    Source {
        name: "emobox",
        title: "EmoBox: lists, labels and folds of 32 corpora of emotional speech, without audio",
        folder: "emobox",
        page: "https://github.com/emo-box/EmoBox",
        licence: Licence {
            name: "MIT (the metadata)",
            url: "https://opensource.org/license/mit",
            note: "any use, with the notice; the audio of each corpus is its owners', under their terms",
        },
        cite: "Ma, Chen, Zhang, Zheng, Chen, Li, Ye, Chen & Hain, Interspeech 2024, arXiv:2406.07162",
        how: How::Repository(Repository {
            url: "https://codeload.github.com/emo-box/EmoBox/tar.gz/08280f279d47fb55d2c614061c70523d0a338d6b",
            folder: "data",
            files: 552,
            listing_sha256: "75cd63d7f375302911ffac2646980a1a2d57dbb57d152750ea414a62ed4341ca",
        }),
    },
    Source {
        name: "musan",
        title: "MUSAN: noise, speech and music to mix with",
        folder: "musan",
        page: "https://www.openslr.org/17/",
        licence: Licence {
            note: "any use, with attribution; each file's own source and licence are in the LICENSE files beside it",
            ..CC_BY
        },
        cite: "Snyder, Chen & Povey, arXiv:1510.08484, 2015",
        how: How::Archives(&[RemoteFile {
            part: "all",
            default: true,
            url: "https://www.openslr.org/resources/17/musan.tar.gz",
            name: "musan.tar.gz",
            size: Some(11_086_114_085),
            md5: Some("0c472d4fc0c5141eca47ad1ffeb2a7df"),
            sha256: None,
            strip: 1,
            contents: None,
        }]),
    },
    Source {
        name: "librispeech",
        title: "LibriSpeech: read English speech with transcripts",
        folder: "LibriSpeech",
        page: "https://www.openslr.org/12/",
        licence: CC_BY,
        cite: "Panayotov, Chen, Povey & Khudanpur, ICASSP 2015",
        how: How::Archives(librispeech! {
            "dev-clean", 337_926_286, "42e2234ba48799c1f50f24a7926300a1", "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3";
            "dev-other", 314_305_928, "c8d0bcc9cca99d4f8b62fcc847357931", "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365";
            "test-clean", 346_663_984, "32fa31d27d2e1cad72775fee3f4849a9", "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23";
            "test-other", 328_757_843, "fb5a50374b501bb3bac4815ee91d3135", "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29";
            "train-clean-100", 6_387_309_499, "2a93770f6d5c6c964bc36631d331a522", "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2";
            "train-clean-360", 23_049_477_885, "c0e676e450a7ff2f54aeade5171606fa", "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf";
            "train-other-500", 30_593_501_606, "d1a0fd59409feb2c614ce4d30c387708", "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2";
        }),
    },
    Source {
        name: "iemocap",
        title: "IEMOCAP: ten actors in dyads, scripted and improvised English",
        folder: "IEMOCAP",
        page: "https://sail.usc.edu/iemocap/",
        licence: Licence {
            name: "IEMOCAP release form",
            url: "https://sail.usc.edu/iemocap/Data_Release_Form_IEMOCAP.pdf",
            note: "research use by those who signed; not to be passed on",
        },
        cite: "Busso et al., Language Resources and Evaluation 42(4), 2008",
        how: How::Request(&[
            "read how it is released at https://sail.usc.edu/iemocap/",
            "fill in and sign https://sail.usc.edu/iemocap/Data_Release_Form_IEMOCAP.pdf and send it as that page says",
            "download IEMOCAP_full_release from the link in the answer and unpack it",
            "put or link the folder that holds Session1 to Session5 to data/IEMOCAP",
        ]),
    },
    Source {
        name: "esd",
        title: "ESD: 20 speakers, five emotions, English and Mandarin",
        folder: "ESD",
        page: "https://github.com/HLTSingapore/Emotional-Speech-Data",
        licence: Licence {
            name: "ESD licence form",
            url: "https://github.com/HLTSingapore/Emotional-Speech-Data",
            note: "research use by those who signed",
        },
        cite: "Zhou, Sisman, Liu & Li, Speech Communication 137, 2022",
        how: How::Request(&[
            "read https://github.com/HLTSingapore/Emotional-Speech-Data",
            "complete the licence form that is linked there and send it to the address given there",
            "download the data set from the link on that page and unpack it",
            "put or link the folder that holds 0001 to 0020 to data/ESD",
        ]),
    },
];

/// The corpus of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Source> {
    const { &SOURCES }
        .iter()
        .find(|source| source.name.eq_ignore_ascii_case(name))
}

impl Source {
    /// Bytes to download for a part, or for all that is fetched when none is named, as far as they are known.
    #[must_use]
    pub fn bytes(&self, part: Option<&str>) -> Option<u64> {
        match self.how {
            How::Archives(files) => files
                .iter()
                .filter(|file| part.map_or(file.default, |part| part == file.part))
                .map(|file| file.size)
                .sum(),
            How::Lfs(lfs) => Some(lfs.bytes),
            How::Repository(_) | How::Request(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str, count: usize) -> bool {
        text.len() == count && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }

    #[test]
    fn every_entry_of_the_table_is_whole() {
        for source in SOURCES {
            assert!(find(source.name).is_some_and(|found| found.name == source.name));
            assert!(source.page.starts_with("http") && source.licence.url.starts_with("https://"));
            match source.how {
                How::Archives(files) => {
                    for file in files {
                        // What comes unencrypted or without a hash is known by what is in it.
                        let hashed = file.md5.is_some() || file.sha256.is_some();
                        let safe = hashed && file.url.starts_with("https://");
                        assert!(safe || file.contents.is_some(), "{}", file.url);
                        assert!(file.md5.is_none_or(|md5| digits(md5, 32)), "{}", file.name);
                        assert!(file.sha256.is_none_or(|sha256| digits(sha256, 64)), "{}", file.name);
                        assert_eq!(files.iter().filter(|other| other.part == file.part).count(), 1);
                    }
                }
                How::Lfs(lfs) => {
                    assert!(digits(lfs.listing_sha256, 64) && lfs.folder.ends_with('/'));
                    assert!(lfs.files_url.ends_with('/'));
                    assert!(lfs.plain.iter().all(|file| digits(file.sha256, 64)));
                }
                How::Repository(repository) => {
                    assert!(digits(repository.listing_sha256, 64) && !repository.folder.ends_with('/'));
                    assert!(repository.url.starts_with("https://") && repository.files > 0);
                }
                How::Request(steps) => assert!(steps.len() > 1),
            }
        }
    }

    #[test]
    fn sizes_are_summed_over_what_is_fetched() {
        let of = |name: &str, part| find(name).unwrap().bytes(part);
        assert_eq!(of("ravdess", None), Some(208_468_073));
        assert_eq!(of("RAVDESS", Some("song")), Some(225_505_317));
        assert_eq!(of("emodb", None), Some(39_981_818));
        assert_eq!(of("emodb", Some("original")), None);
        assert_eq!(of("cremad", None), Some(605_899_936));
    }
}
