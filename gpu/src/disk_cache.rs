//! Compiled kernels in a file, so that the next process does not compile them again. wgpu offers this for Vulkan; Metal and Direct3D
//! have caches of their own.

use std::fs;
use std::path::{Path, PathBuf};

/// The compiled kernels of one device, and their file.
pub(crate) struct DiskCache {
    pub(crate) cache: wgpu::PipelineCache,
    file: PathBuf,
}

impl DiskCache {
    /// Reads the file of this device in a folder, if there is one. `None` if the driver offers no cache.
    pub(crate) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<DiskCache> {
        let file = folder.join(wgpu::util::pipeline_cache_key(info)?);
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let bytes = fs::read(&file).unwrap_or_default();
        let descriptor =
            wgpu::PipelineCacheDescriptor { label: Some("kernels"), data: unsealed(&bytes), fallback: true };
        // SAFETY: the bytes are those that `save` wrote, as their checksum shows. wgpu begins anew if another driver made them.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(DiskCache { cache, file })
    }

    /// Writes the file, unless nothing is known. What cannot be written is compiled again the next time.
    pub(crate) fn save(&self) {
        let Some(data) = self.cache.get_data() else { return };
        let part = self.file.with_extension(format!("{}.part", std::process::id()));
        let folder = self.file.parent().map_or(Ok(()), fs::create_dir_all);
        if folder.and_then(|()| fs::write(&part, sealed(&data))).is_ok() {
            let _ = fs::rename(&part, &self.file);
        }
    }
}

/// The bytes behind their checksum.
fn sealed(data: &[u8]) -> Vec<u8> {
    [&checksum(data).to_le_bytes(), data].concat()
}

/// The bytes behind a checksum, if they have it.
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (sum, data) = bytes.split_first_chunk()?;
    (u64::from_le_bytes(*sum) == checksum(data)).then_some(data)
}

/// FNV-1a, enough to notice a file that is cut off or was edited.
fn checksum(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_bytes_are_not_used() {
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c, "a published value");
        let whole = sealed(b"a kernel");
        assert_eq!(unsealed(&whole), Some(&b"a kernel"[..]));
        assert_eq!(unsealed(&whole[..whole.len() - 1]), None);
        assert_eq!(unsealed(&whole[..7]), None);
        let mut other = whole;
        other[9] ^= 1;
        assert_eq!(unsealed(&other), None);
    }
}
