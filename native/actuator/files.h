// SPDX-License-Identifier: Apache-2.0
// Changes to files that are whole or not at all, and can be taken back. Every path is opened with openat2 beneath a
// directory that the policy allows, with no symbolic link followed. What a change replaces is kept, as the very inode, in
// a directory .kalos (0700, this process's own) of that allowed directory under the change's key until it is settled. All of
// it may wait for others: done apart (apart.h).
#pragma once

#include <sys/types.h>

#include "cbor.h"
#include "outcome.h"
#include "policy.h"

// key: names the change, e.g. "act-12ab-0"; unique, a plain name.

// The content becomes the file's, at once; owner and mode stay, or are mode (>= 0) and the directory's owner where it is new.
Outcome file_replace(const Policy &policy, const std::string &path, const std::string &content, int64_t mode, const std::string &key);
// The file is moved aside.
Outcome file_remove(const Policy &policy, const std::string &path, const std::string &key);
// path becomes path.1, path.1 becomes path.2, up to keep; the last is moved aside; path is new and empty.
Outcome file_rotate(const Policy &policy, const std::string &path, int64_t keep, const std::string &key);
// Files of one directory (its path, their names), renamed to hidden names in it: that takes neither space nor inodes.
Outcome files_hide(const Policy &policy, const std::string &directory, const Args &names, const std::string &key);
// They have their names again, where nothing new has them; does nothing for those that were never hidden.
Outcome files_show(const Policy &policy, const std::string &directory, const Args &names, const std::string &key);
// They go for good.
void files_drop(const Policy &policy, const std::string &directory, const Args &names, const std::string &key);
// Takes back a replacement, a removal, a rotation; does nothing where the change was never made.
// (A removed file comes back only where nothing new has its name.)
Outcome file_restore(const Policy &policy, const std::string &path, const std::string &key, bool over_new);
Outcome file_unrotate(const Policy &policy, const std::string &path, int64_t keep, const std::string &key);
// The change is to stay: what it kept goes to the archive (where it is small enough), or for good.
void file_settle(const Policy &policy, const std::string &path, const std::string &key, const std::string &archive);
// An archived version of the path becomes the file's content again; itself a change with a key.
Outcome file_recall(const Policy &policy, const std::string &path, const std::string &archived, const std::string &archive, const std::string &key);

// Reads, in the policy's directories only. Each appends its items to the answer.
Outcome file_stat(const Policy &policy, const std::string &path, Encoder *answer);
Outcome file_list(const Policy &policy, const std::string &path, Encoder *answer);
Outcome file_read(const Policy &policy, const std::string &path, Encoder *answer);

constexpr int64_t kMaxKeep = 32; // of a rotated file
constexpr off_t kMaxCopiedBytes = off_t{1} << 30;
// Synced.
Outcome write_all(int fd, const std::string &content);
// What a file holds, and what is written to it meanwhile, as far as that ends: at most 1 GiB.
Outcome copy_bytes(int from, int to);
// Writes a small file of the actuator's own: temporary file, fsync, rename, fsync of the directory.
Outcome write_durably(const std::string &directory, const std::string &name, const std::string &content);
// The error says that the disk is full, broken, or mounted read-only.
bool refuses_writes(int error);
bool read_whole(const std::string &path, size_t limit, std::string *content);
