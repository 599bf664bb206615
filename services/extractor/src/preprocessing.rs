//! What is done to an image before the network sees it: plain data, whichever file it was read from.

use std::fmt;

use serde::Deserialize;

use crate::resize::Interpolation;

/// The steps between a decoded image and the network's input, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// What the image is resized to.
    pub resize: Resize,
    /// The filter of the resize.
    pub interpolation: Interpolation,
    /// The centre crop: what the network takes.
    pub crop: Size,
    /// What the levels 0 to 255 become, before `mean` and `std`.
    pub scale: Scale,
    /// Mean of red, green and blue, in that order whatever `channels` says, subtracted after `scale`.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue, in that order, divided by.
    pub std: [f32; 3],
    /// The order of the channels.
    pub channels: Channels,
    /// The order of the tensor's axes.
    pub layout: Layout,
}

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// What an image is resized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// The shorter side becomes this many pixels, the longer one follows in proportion, truncated.
    Shorter(u32),
    /// This size, whatever its proportions were.
    Exact(Size),
}

/// What the levels 0 to 255 become.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// 0 to 1.
    #[default]
    Unit,
    /// -1 to 1.
    Symmetric,
    /// They stay as they are.
    Raw,
}

/// The order of the channels in the tensor.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first, as networks from Caffe expect it.
    Bgr,
}

/// The order of the tensor's axes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `[batch, 3, height, width]`: a plane for each channel.
    #[default]
    Nchw,
    /// `[batch, height, width, 3]`: the channels of a pixel beside each other.
    Nhwc,
}

/// An option with a value that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{key}: {found}; {accepted}")]
pub struct BadOption {
    /// The option, such as `crop`.
    pub key: &'static str,
    /// The value found.
    pub found: String,
    /// What is accepted.
    pub accepted: String,
}

/// The largest side of a resized image, in pixels, where it is given; the longer side may be longer.
const MAX_SIDE: u32 = 4096;

impl Preprocessing {
    /// Rows of the tensor.
    pub fn height(&self) -> u32 {
        self.crop.height
    }

    /// Columns of the tensor.
    pub fn width(&self) -> u32 {
        self.crop.width
    }

    /// What the level `level`, 0 to 255, of `channel` (0 for red) becomes.
    pub fn value(&self, level: u8, channel: usize) -> f32 {
        let level = f32::from(level);
        let scaled = match self.scale {
            Scale::Unit => level / 255.0,
            Scale::Symmetric => level / 127.5 - 1.0,
            Scale::Raw => level,
        };
        (scaled - self.mean[channel]) / self.std[channel]
    }

    /// As callers are told of it.
    pub fn on_the_wire(&self) -> graft_proto::v1::Preprocessing {
        let (shorter, exact) = match self.resize {
            Resize::Shorter(side) => (side, Size::square(0)),
            Resize::Exact(size) => (0, size),
        };
        graft_proto::v1::Preprocessing {
            resize_shorter_side: shorter,
            interpolation: self.interpolation.name().to_owned(),
            crop_height: self.crop.height,
            crop_width: self.crop.width,
            mean: self.mean.to_vec(),
            std: self.std.to_vec(),
            resize_height: exact.height,
            resize_width: exact.width,
            scale: self.scale.name().to_owned(),
            channels: self.channels.name().to_owned(),
            layout: self.layout.name().to_owned(),
        }
    }

    /// Refuse what cannot be done.
    pub fn check(&self) -> Result<(), BadOption> {
        let require = |fine: bool, key, found: &dyn fmt::Debug, accepted: &str| {
            if fine {
                Ok(())
            } else {
                Err(BadOption { key, found: format!("{found:?}"), accepted: accepted.to_owned() })
            }
        };
        let given = match self.resize {
            Resize::Shorter(side) => Size { height: side, width: side },
            Resize::Exact(size) => size,
        };
        for side in [given.height, given.width] {
            require((1..=MAX_SIDE).contains(&side), "resize", &side, &format!("1 to {MAX_SIDE} pixels are accepted"))?;
        }
        for (crop, most) in [(self.crop.height, given.height), (self.crop.width, given.width)] {
            let accepted = format!("1 to {most} pixels are accepted, as many as `resize` leaves");
            require((1..=most).contains(&crop), "crop", &crop, &accepted)?;
        }
        require(self.mean.iter().all(|m| m.is_finite()), "mean", &self.mean, "finite numbers are accepted")?;
        let divisible = self.std.iter().all(|s| s.is_finite() && *s > 0.0);
        require(divisible, "std", &self.std, "finite numbers above 0 are accepted")
    }
}

impl Size {
    /// As many rows as columns.
    pub fn square(side: u32) -> Size {
        Size { height: side, width: side }
    }
}

impl fmt::Display for Size {
    /// `224` for a square, else `HEIGHTxWIDTH`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.height == self.width { self.height.fmt(f) } else { write!(f, "{}x{}", self.height, self.width) }
    }
}

impl Scale {
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Scale::Unit => "unit",
            Scale::Symmetric => "symmetric",
            Scale::Raw => "raw",
        }
    }
}

impl Channels {
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Channels::Rgb => "rgb",
            Channels::Bgr => "bgr",
        }
    }

    /// The channel of RGB, 0 for red, that each channel of the tensor is.
    pub fn order(self) -> [usize; 3] {
        match self {
            Channels::Rgb => [0, 1, 2],
            Channels::Bgr => [2, 1, 0],
        }
    }
}

impl Layout {
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Nchw => "nchw",
            Layout::Nhwc => "nhwc",
        }
    }
}
