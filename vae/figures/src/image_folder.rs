//! A new folder of images, one file each, in the size of the model: `00000.png`, `00001.png`, … The images are written to a
//! temporary folder next to it, which is renamed at the end, so the folder is either complete or absent.

use std::fs;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat, RgbImage};
use tempfile::TempDir;
use vae_core::{Error, Result};

/// A folder of images that is being written.
#[derive(Debug)]
pub struct ImageFolder {
    path: PathBuf,
    temporary: TempDir,
    shape: [usize; 3],
    count: usize,
}

impl ImageFolder {
    /// A folder at `place` for images of the shape `[channels, height, width]`. The folder must be absent or empty.
    ///
    /// # Errors
    /// If the folder contains something, or cannot be created.
    pub fn new(place: &Path, shape: [usize; 3]) -> Result<ImageFolder> {
        let empty = fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
        if place.exists() && !empty {
            return Err(Error::config(format!("{}: exists already; choose another folder", place.display())));
        }
        let cannot = |error| Error::file(place, format!("cannot be made: {error}"));
        let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(cannot)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".pictures-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777)); // the user's umask applies
        let temporary = builder.tempdir_in(parent).map_err(cannot)?;
        Ok(ImageFolder { path: place.to_owned(), temporary, shape, count: 0 })
    }

    /// Adds images: pixels in [0, 1], `[images, channels, height, width]`.
    ///
    /// # Errors
    /// If an image cannot be written.
    pub fn add(&mut self, pixels: &[f32]) -> Result<()> {
        let images = pixels.chunks_exact(self.shape.iter().product());
        images.into_iter().try_for_each(|image| self.add_named(&format!("{:05}.png", self.count), image))
    }

    /// Adds one image in a file of this name.
    ///
    /// # Errors
    /// If the image cannot be written.
    pub fn add_named(&mut self, name: &str, pixels: &[f32]) -> Result<()> {
        let written = write(&self.temporary.path().join(name), pixels, self.shape);
        written.map_err(|error| Error::file(&self.path, format!("cannot be made: {error}")))?;
        self.count += 1;
        Ok(())
    }

    /// Renames the temporary folder to its final name. Returns the number of images.
    ///
    /// # Errors
    /// If the folder cannot be renamed.
    pub fn finish(self) -> Result<usize> {
        let _ = fs::remove_dir(&self.path); // removes an empty folder
        let named = fs::rename(self.temporary.path(), &self.path);
        named.map_err(|error| Error::file(&self.path, format!("cannot be made: {error}")))?;
        let _ = self.temporary.keep(); // the temporary folder has been renamed and must not be removed
        Ok(self.count)
    }
}

fn write(path: &Path, pixels: &[f32], [channels, height, width]: [usize; 3]) -> image::ImageResult<()> {
    let area = height * width;
    let byte = |i: usize| (pixels[i].clamp(0.0, 1.0) * 255.0).round() as u8;
    let at = |x: u32, y: u32| y as usize * width + x as usize;
    let [width, height] = [width, height].map(|side| side as u32);
    if channels == 1 {
        let picture = GrayImage::from_fn(width, height, |x, y| image::Luma([byte(at(x, y))]));
        return picture.save_with_format(path, ImageFormat::Png);
    }
    let colour = |x, y| image::Rgb([0, 1, 2].map(|c| byte(c * area + at(x, y))));
    RgbImage::from_fn(width, height, colour).save_with_format(path, ImageFormat::Png)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_keep_their_pixels_and_the_folder_appears_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("deep/folder");
        let mut folder = ImageFolder::new(&place, [3, 1, 2]).unwrap();
        let [red_blue, grey] = [[1.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.5, 2.0, 0.5, 2.0, 0.5, -1.0]];
        folder.add(&[red_blue, grey].concat()).unwrap();
        assert!(!place.exists());
        assert_eq!(folder.finish().unwrap(), 2);
        let pixels = |name: &str| image::open(place.join(name)).unwrap().into_rgb8().into_raw();
        assert_eq!(pixels("00000.png"), [255, 0, 0, 0, 0, 255]);
        assert_eq!(pixels("00001.png"), [128, 128, 128, 255, 255, 0]);
        assert_eq!(fs::read_dir(dir.path().join("deep")).unwrap().count(), 1, "nothing else is left");
        let tall = dir.path().join("tall.png"); // three rows of two pixels
        write(&tall, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [1, 3, 2]).unwrap();
        let picture = image::open(&tall).unwrap().into_luma8();
        assert_eq!((picture.dimensions(), picture.into_raw()), ((2, 3), vec![0, 51, 102, 153, 204, 255]));
        let error = ImageFolder::new(&place, [1, 1, 1]).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("exists already"), "{error}");
        drop(ImageFolder::new(&dir.path().join("other"), [1, 1, 1]).unwrap());
        assert!(!dir.path().join("other").exists());
        fs::create_dir(dir.path().join("empty")).unwrap();
        let mut folder = ImageFolder::new(&dir.path().join("empty"), [1, 1, 1]).unwrap();
        folder.add(&[1.0]).unwrap();
        assert_eq!((folder.finish().unwrap(), dir.path().join("empty/00000.png").is_file()), (1, true));
    }
}
