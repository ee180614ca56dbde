//! The addresses and checksums of published data sets. Messages about missing files and `--download` use them.
//!
//! The SHA-256 checksums and the sizes are those that TensorFlow Datasets recorded
//! (`tensorflow_datasets/url_checksums`). The authors of dSprites and of the chairs publish no checksum. We use the MD5
//! that public loaders of these sets contain: several loaders for dSprites, one for the chairs.

use std::path::Path;

use vae_core::Error;
use vae_core::config::DataKind;

/// One published file.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    /// The address of the file.
    pub url: &'a str,
    /// The folder, relative to the data folder, that receives the file or its contents. It is torchvision's folder if
    /// torchvision has this data set.
    pub folder: &'a str,
    /// The paths, relative to `folder`, that exist after the download. If all of them exist already, nothing is fetched.
    pub gives: &'a [&'a str],
    /// The checksum of the file.
    pub checksum: Checksum<'a>,
    /// The size in bytes. If the exact size is unknown, an upper bound.
    pub size: u64,
    /// How files are packed into this file.
    pub pack: Pack,
}

/// A checksum in lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub enum Checksum<'a> {
    /// 64 digits.
    Sha256(&'a str),
    /// 32 digits. It detects damage, but not forgery.
    Md5(&'a str),
}

/// How files are packed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pack {
    /// Not packed: the readers read the file itself.
    File,
    /// A tar archive.
    Tar,
    /// A tar archive compressed with gzip.
    TarGz,
}

use Checksum::{Md5, Sha256};

macro_rules! idx {
    ($base:literal, $folder:literal, $([$name:literal, $size:literal, $sha256:literal]),+) => {
        &[$(Archive {
            url: concat!($base, $name),
            folder: $folder,
            gives: &[$name],
            checksum: Sha256($sha256),
            size: $size,
            pack: Pack::File,
        }),+]
    };
}

#[rustfmt::skip]
const MNIST: &[Archive<'static>] = idx!("https://ossci-datasets.s3.amazonaws.com/mnist/", "MNIST/raw",
    ["train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"],
    ["train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"],
    ["t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"],
    ["t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"]);

#[rustfmt::skip]
const FASHION: &[Archive<'static>] = idx!("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", "FashionMNIST/raw",
    ["train-images-idx3-ubyte.gz", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"],
    ["train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"],
    ["t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"],
    ["t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"]);

const CIFAR10: &[Archive<'static>] = &[Archive {
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    folder: "",
    gives: &["cifar-10-batches-bin"],
    checksum: Sha256("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    size: 170_052_171,
    pack: Pack::TarGz,
}];

const STL10: &[Archive<'static>] = &[Archive {
    url: "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
    folder: "",
    gives: &["stl10_binary"],
    checksum: Sha256("f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866"),
    size: 2_640_397_119,
    pack: Pack::TarGz,
}];

const DOGS: &[Archive<'static>] = &[
    Archive {
        url: "http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar",
        folder: "stanford-dogs",
        gives: &["Images"],
        checksum: Sha256("a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58"),
        size: 793_579_520,
        pack: Pack::Tar,
    },
    Archive {
        url: "http://vision.stanford.edu/aditya86/ImageNetDogs/annotation.tar",
        folder: "stanford-dogs",
        gives: &["Annotation"],
        checksum: Sha256("662ed36f707be6b195c2fda392d8e153e83af28cedc8e2134a649f198def30fd"),
        size: 21_852_160,
        pack: Pack::Tar,
    },
    Archive {
        url: "http://vision.stanford.edu/aditya86/ImageNetDogs/lists.tar",
        folder: "stanford-dogs",
        gives: &["train_list.mat", "test_list.mat"],
        checksum: Sha256("34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c"),
        size: 481_280,
        pack: Pack::Tar,
    },
];

const CHAIRS: &[Archive<'static>] = &[Archive {
    url: "https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar",
    folder: "",
    gives: &["rendered_chairs"],
    checksum: Md5("7941bff4d19665ed2dd8c82e88293e1b"),
    size: 16 << 30,
    pack: Pack::Tar,
}];

const DSPRITES: &[Archive<'static>] = &[Archive {
    url: "https://github.com/google-deepmind/dsprites-dataset/raw/master/\
          dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    folder: "dsprites",
    gives: &["dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"],
    checksum: Md5("7da33b31b13a06f4b04a70402ce90c2e"),
    size: 256 << 20,
    pack: Pack::File,
}];

/// Where the files of `binarized-mnist` are. Without a checksum, a program cannot tell whether what it fetched is whole.
pub const BINARIZED_MNIST: &str = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/";

/// Returns the published files of a data set. The list is empty for generated data sets, and for those without an
/// address that a program can download from.
pub fn of(kind: DataKind) -> &'static [Archive<'static>] {
    match kind {
        DataKind::Mnist => MNIST,
        DataKind::FashionMnist => FASHION,
        DataKind::Cifar10 => CIFAR10,
        DataKind::Stl10 => STL10,
        DataKind::StanfordDogs => DOGS,
        DataKind::Chairs => CHAIRS,
        DataKind::Dsprites => DSPRITES,
        DataKind::Digits | DataKind::Shapes | DataKind::Celeba | DataKind::Folder | DataKind::BinarizedMnist => &[],
    }
}

/// Returns the error for missing files of a data set. `layout` describes the files that were expected under `dir`.
pub(super) fn missing(kind: DataKind, dir: &Path, layout: &str) -> Error {
    let addresses: Vec<&str> = of(kind).iter().map(|archive| archive.url).collect();
    let (published, program) = match kind {
        DataKind::Celeba => {
            ("https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (by hand, because it has no direct address)".into(), "")
        }
        DataKind::BinarizedMnist => (format!("{BINARIZED_MNIST} (by hand, because no checksum is published)"), ""),
        _ => (addresses.join(", "), "use --download to fetch it, or "),
    };
    let what = format!(
        "{kind} not found: expected {layout} in this folder, published at {published}; {program}name another folder with --data-dir"
    );
    Error::file(dir, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_complete_and_addresses_name_files() {
        for archive in [MNIST, FASHION, CIFAR10, STL10, DOGS, CHAIRS, DSPRITES].concat() {
            let (digits, len) = match archive.checksum {
                Sha256(digits) => (digits, 64),
                Md5(digits) => (digits, 32),
            };
            assert_eq!(digits.len(), len, "{}", archive.url);
            assert!(digits.bytes().all(|digit| digit.is_ascii_hexdigit() && !digit.is_ascii_uppercase()));
            assert!(archive.url.starts_with("http") && !archive.url.ends_with('/') && !archive.gives.is_empty());
            if archive.pack == Pack::File {
                assert!(archive.url.ends_with(archive.gives[0]), "{}", archive.url);
            }
        }
    }

    #[test]
    fn the_built_in_digits_have_the_recorded_checksums() {
        use sha2::Digest;

        let files: [&[u8]; 2] = [
            include_bytes!("../../core/digits/t10k-images-idx3-ubyte.gz"),
            include_bytes!("../../core/digits/t10k-labels-idx1-ubyte.gz"),
        ];
        for (file, archive) in files.iter().zip(&MNIST[2..]) {
            let Sha256(wanted) = archive.checksum else { panic!("MNIST has SHA-256") };
            let found = vae_core::hex(sha2::Sha256::digest(file));
            assert_eq!((found.as_str(), file.len() as u64), (wanted, archive.size));
        }
    }
}
