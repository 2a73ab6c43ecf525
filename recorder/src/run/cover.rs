//! What lies over the directories before the command's process is there, or will be laid there by it: the connections
//! and, for an ordinary user, the mounts. Taken away again if the run does not come about.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::command::Overlay;
use super::hidden::HiddenPlace;
use super::plan::{Plan, Way};
use super::recorder::Seat;
use crate::error::Error;
use crate::mount::source::Source;
use crate::mount::{fuse, fusermount};

pub struct Cover {
    /// Directory and how it is covered, for the command's process.
    pub overlays: Vec<(PathBuf, Overlay)>,
    /// One connection a directory, for the recorder.
    devices: Vec<OwnedFd>,
    hidden: Option<HiddenPlace>,
    in_place: InPlace,
}

/// Mounts for all to see.
#[derive(Default)]
struct InPlace(Vec<PathBuf>);

impl Drop for InPlace {
    fn drop(&mut self) {
        for point in &self.0 {
            // Gone already is well.
            let _ = fusermount::unmount(point, true);
        }
    }
}

impl Cover {
    pub fn make(plan: &Plan) -> Result<Cover, Error> {
        let mut cover = Cover { overlays: Vec::new(), devices: Vec::new(), hidden: None, in_place: InPlace::default() };
        for source in &plan.sources {
            let device = fuse::open_device()?;
            let overlay = match plan.way {
                Way::Root => cover.connect_for_mount(source, device)?,
                Way::UserNamespace => cover.connect_hidden(source)?,
                Way::InPlace => cover.connect_in_place(source)?,
            };
            cover.overlays.push((source.path.clone(), overlay));
        }
        Ok(cover)
    }

    fn connect_for_mount(&mut self, source: &Source, device: OwnedFd) -> Result<Overlay, Error> {
        let copy = device.try_clone().map_err(|cause| Error::system("cannot copy", fuse::DEVICE, cause))?;
        self.devices.push(copy);
        Ok(Overlay::Device { device, flags: source.flags, nested: source.nested.clone() })
    }

    fn connect_hidden(&mut self, source: &Source) -> Result<Overlay, Error> {
        let place = match self.hidden.take() {
            Some(place) => place,
            None => HiddenPlace::make()?,
        };
        let hidden = self.hidden.insert(place).next_point()?;
        self.devices.push(fusermount::mount(&source.path, &hidden, source.flags)?);
        Ok(Overlay::Bind { hidden })
    }

    fn connect_in_place(&mut self, source: &Source) -> Result<Overlay, Error> {
        self.devices.push(fusermount::mount(&source.path, &source.path, source.flags)?);
        self.in_place.0.push(source.path.clone());
        Ok(Overlay::Nothing)
    }

    /// What the recorder gets: a device and a source each.
    pub fn seats(&mut self, plan: &mut Plan) -> Vec<Seat> {
        let is_private = plan.way != Way::InPlace;
        let pairs = self.devices.drain(..).zip(plan.sources.drain(..));
        pairs.map(|(device, source)| Seat { device, source, is_private }).collect()
    }

    pub fn hidden_place(&self) -> Option<&Path> {
        self.hidden.as_ref().map(HiddenPlace::base)
    }

    /// Where each mount can be seen from here; None if the command's process is still to make it.
    pub fn mounted_at(&self) -> Option<Vec<PathBuf>> {
        let place = |(directory, overlay): &(PathBuf, Overlay)| match overlay {
            Overlay::Device { .. } => None,
            Overlay::Bind { hidden } => Some(hidden.clone()),
            Overlay::Nothing => Some(directory.clone()),
        };
        self.overlays.iter().map(place).collect()
    }

    /// Bound over their directories, the hidden mounts have done their duty.
    pub fn unhide(&mut self) {
        self.hidden = None;
    }

    /// The recorder takes the mounts away when nobody uses them any more.
    pub fn leave_to_recorder(mut self) {
        self.in_place.0.clear();
    }
}
