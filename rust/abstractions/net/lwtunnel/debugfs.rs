// SPDX-License-Identifier: GPL-2.0-only

//! Files in debugfs that list the tunnel states.
//!
//! [`kernel::debugfs`] is not used, because its files do not hold a reference to the module whose
//! code they run: closing a file after the module was unloaded would call freed code. Its files are
//! also written in one piece (`single_open()`).
//!
//! C headers: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use super::{
    links::Listed,
    state::State,
    Adapter,
    Encap,
    Registration,
    RouteOwner, //
};
use crate::abstractions::{
    compat::this_module,
    net::namespace::Visible, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    error::from_result,
    prelude::*,
    seq_file::SeqFile,
    ModuleMetadata, //
};

/// A file that shows each tunnel state.
pub(crate) trait StateFile<T>: 'static {
    /// The name of the file.
    const NAME: &'static CStr;

    /// Writes the entry of one state. Process context.
    fn show(encap: &T, owner: RouteOwner, file: &SeqFile);
}

/// The position in an open file.
struct Cursor {
    /// The namespaces that the process that opened the file may see.
    visible: Visible,
    /// The number of states before `at`.
    position: bindings::loff_t,
    /// The state to show next, `None` at the end.
    at: Option<Listed>,
}

/// The callbacks of the file that `R` describes.
struct File<T, R, M>(PhantomData<(T, R, M)>);

impl<T: Encap, R: StateFile<T>, M: ModuleMetadata> File<T, R, M> {
    const SEQUENCE: bindings::seq_operations = bindings::seq_operations {
        start: Some(Self::start),
        stop: Some(Self::stop),
        next: Some(Self::next),
        show: Some(Self::show),
    };

    const OPERATIONS: bindings::file_operations = bindings::file_operations {
        owner: this_module::<M>().as_ptr(),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(Self::release),
        // SAFETY: Fields that are not set may be null or zero.
        ..unsafe { core::mem::zeroed() }
    };

    /// Returns the first state, or the one after `at`.
    fn after(at: Option<Listed>) -> Option<Listed> {
        // SAFETY: The file exists only after `T` was registered. There is only one registration, so
        // all states in the list are of `T`.
        unsafe { Listed::next(at, State::<T>::LINKS) }
    }

    /// # Safety
    ///
    /// [`Self::open`] opened `seq`, and nobody else uses its cursor during `'a`.
    unsafe fn cursor<'a>(seq: *mut bindings::seq_file) -> &'a mut Cursor {
        // SAFETY: The file is open by the safety requirements of this function.
        let cursor = unsafe { (*seq).private }.cast::<Cursor>();
        // SAFETY: `open` initialised the cursor. Nobody else uses it, by the safety requirements of
        // this function.
        unsafe { &mut *cursor }
    }

    /// # Safety
    ///
    /// Called by the kernel with a file that the calling process opens.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        from_result(|| {
            let size = const { size_of::<Cursor>() as c_int };
            // SAFETY: By the safety requirements of this function. The table is static.
            let cursor = unsafe { bindings::__seq_open_private(file, &Self::SEQUENCE, size) };
            let cursor = cursor.cast::<Cursor>();
            if cursor.is_null() {
                return Err(ENOMEM);
            }
            // SAFETY: The memory has the size of a `Cursor` and the alignment of `kmalloc()`, and
            // nobody else accesses it yet.
            unsafe {
                cursor.write(Cursor {
                    visible: Visible::to_current(),
                    position: 0,
                    at: Self::after(None),
                });
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the kernel with a file that [`Self::open`] has opened, and that nobody reads.
    unsafe extern "C" fn release(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The file is valid by the safety requirements of this function.
        let seq = unsafe { (*file).private_data }.cast::<bindings::seq_file>();
        // SAFETY: `open` has opened the file, and nobody reads it, by the safety requirements of
        // this function.
        let cursor = unsafe { Self::cursor(seq) };
        // SAFETY: `open` initialised the cursor, and nobody uses it after this.
        unsafe { ptr::drop_in_place(cursor) };
        // SAFETY: By the safety requirements of this function. The callee frees the memory of the
        // cursor.
        unsafe { bindings::seq_release_private(inode, file) }
    }

    /// # Safety
    ///
    /// Called by the kernel for a read of a file that [`Self::open`] has opened. Reads of a file
    /// are serialised.
    unsafe extern "C" fn start(
        seq: *mut bindings::seq_file,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the safety requirements of this function.
        let cursor = unsafe { Self::cursor(seq) };
        // SAFETY: `position` is valid for the time of the call.
        let wanted = unsafe { *position };
        if cursor.position > wanted || wanted == 0 {
            cursor.position = 0;
            cursor.at = None;
            cursor.at = Self::after(None);
        }
        while cursor.position < wanted && cursor.at.is_some() {
            cursor.at = Self::after(cursor.at.take());
            cursor.position += 1;
        }
        Self::here(cursor)
    }

    /// # Safety
    ///
    /// As for [`Self::start`].
    unsafe extern "C" fn next(
        seq: *mut bindings::seq_file,
        _at: *mut c_void,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the safety requirements of this function.
        let cursor = unsafe { Self::cursor(seq) };
        cursor.at = Self::after(cursor.at.take());
        cursor.position += 1;
        // SAFETY: `position` is valid for the time of the call.
        unsafe { *position = cursor.position };
        Self::here(cursor)
    }

    /// Returns the state at the cursor as `seq_file` expects it: null at the end.
    fn here(cursor: &Cursor) -> *mut c_void {
        cursor
            .at
            .as_ref()
            .map_or(ptr::null_mut(), |at| at.as_ptr().cast())
    }

    /// Keeps the reference to the cursor's state until the next read.
    ///
    /// # Safety
    ///
    /// None.
    unsafe extern "C" fn stop(_seq: *mut bindings::seq_file, _at: *mut c_void) {}

    /// # Safety
    ///
    /// As for [`Self::start`].
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, _at: *mut c_void) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let cursor = unsafe { Self::cursor(seq) };
        // SAFETY: The file is valid for the time of the call.
        let file = unsafe { SeqFile::from_raw(seq) };
        if let Some(at) = &cursor.at {
            // SAFETY: The state is held. It comes from the list, so `build_state` of `T` built it.
            let state = unsafe { Adapter::<T>::state(at.as_ptr()) };
            if cursor.visible.contains(state.net) {
                R::show(&state.encap, state.owner(), file);
            }
        }
        0
    }
}

/// A directory in debugfs. Its drop removes it, with all its files.
///
/// Without debugfs, or without memory, no directory is created; this is not an error. Open files
/// hold a reference to the module.
pub(crate) struct DebugfsDir<T> {
    #[cfg(CONFIG_DEBUG_FS)]
    dentry: *mut bindings::dentry,
    _encap: PhantomData<fn() -> T>,
}

// SAFETY: debugfs does its own locking.
unsafe impl<T> Send for DebugfsDir<T> {}

// SAFETY: A shared reference can only create files, for which debugfs does its own locking.
unsafe impl<T> Sync for DebugfsDir<T> {}

impl<T: Encap> DebugfsDir<T> {
    /// Creates the directory, for states of `T`. The registration proves that the list of states is
    /// initialised. Process context.
    #[cfg_attr(not(CONFIG_DEBUG_FS), allow(unused_variables))]
    pub(crate) fn new(name: &CStr, _registration: &Registration<T>) -> Self {
        // SAFETY: An FFI call with no requirements but process context; the name is copied.
        #[cfg(CONFIG_DEBUG_FS)]
        let dentry = unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), ptr::null_mut()) };
        Self {
            #[cfg(CONFIG_DEBUG_FS)]
            dentry,
            _encap: PhantomData,
        }
    }

    /// Creates a file in the directory, readable by root. Process context.
    #[cfg_attr(not(CONFIG_DEBUG_FS), allow(unused_variables))]
    pub(crate) fn file<R: StateFile<T>, M: ModuleMetadata>(&self) {
        // Also used without debugfs, so that no code for files is reported as dead.
        let operations = &File::<T, R, M>::OPERATIONS;
        // SAFETY: `dentry` is a directory, or an error, with which no file is created. The table is
        // static. Its owner is held while the file is open, and the file is removed with the
        // directory.
        #[cfg(CONFIG_DEBUG_FS)]
        unsafe {
            bindings::debugfs_create_file_full(
                R::NAME.as_char_ptr(),
                0o400,
                self.dentry,
                ptr::null_mut(),
                ptr::null(),
                operations,
            );
        }
    }
}

impl<T> Drop for DebugfsDir<T> {
    fn drop(&mut self) {
        // SAFETY: Created by `new`. `debugfs_remove()` ignores an error.
        #[cfg(CONFIG_DEBUG_FS)]
        unsafe {
            bindings::debugfs_remove(self.dentry);
        }
    }
}
