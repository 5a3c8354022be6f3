// SPDX-License-Identifier: GPL-2.0-only

//! Files in debugfs that list the tunnel states.
//!
//! The kernel crate's [`kernel::debugfs`] does not do here: its files do not hold the module whose
//! code they run, so that one that is closed after the module was unloaded calls what is not there
//! any more. Nor can it write a file piece by piece.
//!
//! C headers: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use super::{
    links::Listed,
    state::State,
    Adapter,
    Encap,
    Owner,
    Registration, //
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

/// What a file tells of a tunnel state.
pub(crate) trait Record<T>: 'static {
    /// The name of the file.
    const NAME: &'static CStr;

    /// Writes of one state. Process context.
    fn show(encap: &T, owner: Owner, file: &SeqFile);
}

/// How far an open file was read.
struct Cursor {
    /// What its opener may see.
    visible: Visible,
    /// How many states are in front of `at`.
    position: bindings::loff_t,
    /// The state that is shown next; `None` at the end.
    at: Option<Listed>,
}

/// The callbacks of the file that `R` makes.
struct File<T, R, M>(PhantomData<(T, R, M)>);

impl<T: Encap, R: Record<T>, M: ModuleMetadata> File<T, R, M> {
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
        // SAFETY: What is absent is null or zero.
        ..unsafe { core::mem::zeroed() }
    };

    /// The first state, or the one after `at`.
    fn after(at: Option<Listed>) -> Option<Listed> {
        // SAFETY: There is a file, and so was a registration of `T`, which is the only one: all states
        // of the list are of `T`.
        unsafe { Listed::next(at, State::<T>::LINKS) }
    }

    /// # Safety
    ///
    /// `seq` is one that [`Self::open`] has made, and nobody else has its cursor during `'a`.
    unsafe fn cursor<'a>(seq: *mut bindings::seq_file) -> &'a mut Cursor {
        // SAFETY: By the safety requirements of this function.
        unsafe { &mut *(*seq).private.cast() }
    }

    /// # Safety
    ///
    /// Called by the kernel with a file that is being opened by the calling process.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        from_result(|| {
            let size = const { size_of::<Cursor>() as c_int };
            // SAFETY: By the safety requirements of this function. The table is static.
            let cursor = unsafe { bindings::__seq_open_private(file, &Self::SEQUENCE, size) };
            let cursor = cursor.cast::<Cursor>();
            if cursor.is_null() {
                return Err(ENOMEM);
            }
            // SAFETY: So large, aligned as `kmalloc()` does, and nobody else has it.
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
        // SAFETY: By the safety requirements of this function: `open` has made the cursor, and the
        // callee frees its memory.
        unsafe {
            let seq = (*file).private_data.cast::<bindings::seq_file>();
            ptr::drop_in_place(Self::cursor(seq));
            bindings::seq_release_private(inode, file)
        }
    }

    /// # Safety
    ///
    /// Called by the kernel for a read of a file that [`Self::open`] has opened, one read at a time.
    unsafe extern "C" fn start(
        seq: *mut bindings::seq_file,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the safety requirements of this function.
        let (cursor, wanted) = unsafe { (Self::cursor(seq), *position) };
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
        unsafe {
            let cursor = Self::cursor(seq);
            cursor.at = Self::after(cursor.at.take());
            cursor.position += 1;
            *position = cursor.position;
            Self::here(cursor)
        }
    }

    /// Where the cursor is, as the kernel takes it: null at the end.
    fn here(cursor: &Cursor) -> *mut c_void {
        cursor
            .at
            .as_ref()
            .map_or(ptr::null_mut(), |at| at.as_ptr().cast())
    }

    /// The cursor keeps its state until the next read.
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
        let (cursor, file) = unsafe { (Self::cursor(seq), SeqFile::from_raw(seq)) };
        if let Some(at) = &cursor.at {
            // SAFETY: In the list, so made by `build_state` of `T`, and held.
            let state = unsafe { Adapter::<T>::state(at.as_ptr()) };
            if cursor.visible.contains(state.net) {
                R::show(&state.encap, state.owner(), file);
            }
        }
        0
    }
}

/// A directory in debugfs. Its drop takes it away with all that is in it.
///
/// Without debugfs, or memory for it, there is none, and that is no error. Files that are open hold
/// the module.
pub(crate) struct Directory<T> {
    #[cfg(CONFIG_DEBUG_FS)]
    dentry: *mut bindings::dentry,
    _encap: PhantomData<fn() -> T>,
}

// SAFETY: debugfs has locks of its own.
unsafe impl<T> Send for Directory<T> {}

// SAFETY: Nothing can be done by a shared reference but to make files, for which debugfs has locks.
unsafe impl<T> Sync for Directory<T> {}

impl<T: Encap> Directory<T> {
    /// Makes the directory, for states of `T`, whose registration is proof that there is a list of
    /// them. Process context.
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

    /// Makes a file in it that root can read. Process context.
    pub(crate) fn file<R: Record<T>, M: ModuleMetadata>(&self) {
        // SAFETY: The directory is one, or an error, by which nothing is made. The table is static; its
        // owner is held while the file is open, and the file goes with the directory.
        #[cfg(CONFIG_DEBUG_FS)]
        unsafe {
            bindings::debugfs_create_file_full(
                R::NAME.as_char_ptr(),
                0o400,
                self.dentry,
                ptr::null_mut(),
                ptr::null(),
                &File::<T, R, M>::OPERATIONS,
            );
        }
    }
}

impl<T> Drop for Directory<T> {
    fn drop(&mut self) {
        // SAFETY: Made by `new`; an error is left alone.
        #[cfg(CONFIG_DEBUG_FS)]
        unsafe {
            bindings::debugfs_remove(self.dentry);
        }
    }
}
