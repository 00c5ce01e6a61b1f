// SPDX-License-Identifier: Apache-2.0
// Replacing, removing, rotating, hiding and reading files, and taking each of it back.
#include "files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "../fd.h"

namespace {

constexpr size_t kMaxReadBytes = 512 << 10;
constexpr size_t kMaxEntries = 2000;
constexpr off_t kMaxArchivedBytes = 1 << 20;
constexpr size_t kMaxArchived = 256;
constexpr char kAside[] = ".kalos";
constexpr char kHidden[] = ".kalos-";

int open_beneath(int dir, const char *path, uint64_t flags, uint64_t resolve) {
	open_how how{};
	how.flags = flags | O_CLOEXEC;
	how.resolve = resolve;
	return static_cast<int>(syscall(SYS_openat2, dir, path, &how, sizeof how));
}

// An allowed path, pinned: from here on names are looked up in these directories only.
struct Place {
	Fd root;   // the allowed directory
	Fd parent; // the directory that holds the file
	std::string leaf;
	std::string path;
};

Outcome find(const Policy &policy, const std::string &path, Place *out, bool reads = false) {
	std::string root = policy.root_of(path, reads);
	if (root.empty())
		return Outcome::refused(path + ": the actuator's policy does not allow this path");
	out->root = Fd(open_beneath(AT_FDCWD, root.c_str(), O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
	if (!out->root.ok())
		return Outcome::error(root, errno);
	size_t slash = path.rfind('/');
	std::string parent = slash == root.size() ? "." : path.substr(root.size() + 1, slash - root.size() - 1);
	out->parent = Fd(open_beneath(out->root.get(), parent.c_str(), O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV));
	if (!out->parent.ok())
		return errno == ENOENT ? Outcome::not_found(path + ": its directory does not exist") : Outcome::error(path, errno);
	out->leaf = path.substr(slash + 1);
	out->path = path;
	return Outcome::fine();
}

// The directory for what is moved aside; made where `make` says so.
Outcome open_aside(const Place &place, bool make, Fd *out) {
	if (make && mkdirat(place.root.get(), kAside, 0700) != 0 && errno != EEXIST)
		return Outcome::error(kAside, errno);
	Fd aside(openat(place.root.get(), kAside, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (!aside.ok())
		return errno == ENOENT ? Outcome::not_found("nothing was moved aside") : Outcome::error(kAside, errno);
	struct stat at;
	if (fstat(aside.get(), &at) != 0 || at.st_uid != geteuid() || (at.st_mode & 077) != 0)
		return Outcome::refused(std::string(kAside) + ": it is not the actuator's own");
	*out = std::move(aside);
	return Outcome::fine();
}

bool exists(int dir, const std::string &name) {
	struct stat at;
	return fstatat(dir, name.c_str(), &at, AT_SYMLINK_NOFOLLOW) == 0;
}

// A regular file with one name: a second hard link would let a change reach a file elsewhere.
Outcome look(const Place &place, struct stat *at) {
	if (fstatat(place.parent.get(), place.leaf.c_str(), at, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? Outcome::not_found(place.path + ": no such file") : Outcome::error(place.path, errno);
	if (!S_ISREG(at->st_mode))
		return Outcome::refused(place.path + ": not a regular file");
	if (at->st_nlink > 1)
		return Outcome::refused(place.path + ": it has another name (hard link)");
	return Outcome::fine();
}

// A new file `name` in the aside directory with content, owner and mode; removed again where that fails.
Outcome make_new(int aside, const std::string &name, const std::string &content, const struct stat &like) {
	Fd file(openat(aside, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (!file.ok())
		return Outcome::error(name, errno);
	Outcome made = write_all(file.get(), content);
	if (made.ok() && (fchown(file.get(), like.st_uid, like.st_gid) != 0 || fchmod(file.get(), like.st_mode & 07777) != 0))
		made = Outcome::error(name, errno);
	if (made.ok() && fsync(file.get()) != 0)
		made = Outcome::error(name, errno);
	if (!made.ok())
		unlinkat(aside, name.c_str(), 0);
	return made;
}

// What was there: a link to it as `key` in the aside directory, or the mark key.absent. Durable before anything changes.
Outcome keep_old(const Place &place, int aside, const std::string &key, struct stat *at, bool *present) {
	Outcome looked = look(place, at);
	*present = looked.ok();
	if (looked.code == Outcome::kNotFound) {
		Fd mark(openat(aside, (key + ".absent").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
		if (!mark.ok())
			return Outcome::error(key, errno);
	} else if (!looked.ok()) {
		return looked;
	} else if (linkat(place.parent.get(), place.leaf.c_str(), aside, key.c_str(), 0) != 0) {
		return Outcome::error(place.path, errno);
	}
	return fsync(aside) == 0 ? Outcome::fine() : Outcome::error("fsync", errno);
}

void remove_if_empty(const Place &place) { unlinkat(place.root.get(), kAside, AT_REMOVEDIR); }

std::string numbered(const std::string &leaf, int64_t number) { return number == 0 ? leaf : leaf + "." + std::to_string(number); }

void sync_both(const Place &place, int aside) {
	fsync(aside);
	fsync(place.parent.get());
}

} // namespace

Outcome Outcome::error(const std::string &what, int error) {
	bool refused = error == ELOOP || error == EXDEV;
	return {error == ENOENT ? kNotFound : (refused ? kRefused : kFailed), what + ": " + strerror(error)};
}

Outcome file_replace(const Policy &policy, const std::string &path, const std::string &content, int64_t mode, const std::string &key) {
	Place place;
	Fd aside;
	struct stat like;
	bool present = false;
	Outcome step = find(policy, path, &place);
	if (step.ok())
		step = open_aside(place, true, &aside);
	if (step.ok())
		step = keep_old(place, aside.get(), key, &like, &present);
	if (!step.ok())
		return step;
	if (!present) {
		fstat(place.parent.get(), &like); // a new file has the owner of its directory
		like.st_mode = 0644;
	}
	if (mode >= 0)
		like.st_mode = static_cast<mode_t>(mode & 0777);
	step = make_new(aside.get(), key + ".new", content, like);
	if (!step.ok())
		return step;
	if (renameat(aside.get(), (key + ".new").c_str(), place.parent.get(), place.leaf.c_str()) != 0)
		return Outcome::error(path, errno);
	sync_both(place, aside.get());
	return Outcome::fine();
}

Outcome file_remove(const Policy &policy, const std::string &path, const std::string &key) {
	Place place;
	Fd aside;
	struct stat at;
	Outcome step = find(policy, path, &place);
	if (step.ok())
		step = look(place, &at);
	if (step.ok())
		step = open_aside(place, true, &aside);
	if (!step.ok())
		return step;
	if (renameat2(place.parent.get(), place.leaf.c_str(), aside.get(), key.c_str(), RENAME_NOREPLACE) != 0)
		return Outcome::error(path, errno);
	sync_both(place, aside.get());
	return Outcome::fine();
}

namespace {

std::string hidden_name(const std::string &key, size_t index) { return kHidden + key + "-" + std::to_string(index); }

// Does something with each name, in its directory and under its hidden name, until one fails.
template <typename Each> Outcome each_hidden(const Policy &policy, const std::string &directory, const Args &names, const std::string &key, Each each) {
	Place place;
	Outcome step = find(policy, directory + "/x", &place);
	for (size_t i = 0; step.ok() && i < names.size(); i++) {
		place.leaf = names[i].text;
		place.path = directory + "/" + names[i].text;
		step = each(place, hidden_name(key, i));
	}
	if (place.parent.ok())
		fsync(place.parent.get());
	return step;
}

} // namespace

Outcome files_hide(const Policy &policy, const std::string &directory, const Args &names, const std::string &key) {
	return each_hidden(policy, directory, names, key, [](const Place &place, const std::string &hidden) {
		struct stat at;
		Outcome looked = look(place, &at);
		if (looked.code == Outcome::kNotFound)
			return Outcome::fine(); // removed by another process meanwhile
		if (looked.ok() && renameat2(place.parent.get(), place.leaf.c_str(), place.parent.get(), hidden.c_str(), RENAME_NOREPLACE) != 0)
			return Outcome::error(place.path, errno);
		return looked;
	});
}

Outcome files_show(const Policy &policy, const std::string &directory, const Args &names, const std::string &key) {
	return each_hidden(policy, directory, names, key, [](const Place &place, const std::string &hidden) {
		bool back = renameat2(place.parent.get(), hidden.c_str(), place.parent.get(), place.leaf.c_str(), RENAME_NOREPLACE) == 0;
		return back || errno == ENOENT ? Outcome::fine() : Outcome::error(place.path, errno);
	});
}

void files_drop(const Policy &policy, const std::string &directory, const Args &names, const std::string &key) {
	each_hidden(policy, directory, names, key, [](const Place &place, const std::string &hidden) {
		unlinkat(place.parent.get(), hidden.c_str(), 0);
		return Outcome::fine();
	});
}

Outcome file_restore(const Policy &policy, const std::string &path, const std::string &key, bool over_new) {
	Place place;
	Fd aside;
	Outcome step = find(policy, path, &place);
	if (!step.ok())
		return step;
	step = open_aside(place, false, &aside);
	if (step.code == Outcome::kNotFound)
		return Outcome::fine(); // it was never changed
	if (!step.ok())
		return step;
	unlinkat(aside.get(), (key + ".new").c_str(), 0);
	if (exists(aside.get(), key)) {
		struct stat kept, now;
		bool same = fstatat(aside.get(), key.c_str(), &kept, AT_SYMLINK_NOFOLLOW) == 0 &&
			    fstatat(place.parent.get(), place.leaf.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && kept.st_ino == now.st_ino;
		if (same) // kept, but not replaced yet
			unlinkat(aside.get(), key.c_str(), 0);
		else if (renameat2(aside.get(), key.c_str(), place.parent.get(), place.leaf.c_str(), over_new ? 0 : RENAME_NOREPLACE) != 0)
			return Outcome::error(path, errno);
	} else if (exists(aside.get(), key + ".absent")) {
		if (unlinkat(place.parent.get(), place.leaf.c_str(), 0) != 0 && errno != ENOENT)
			return Outcome::error(path, errno);
	}
	unlinkat(aside.get(), (key + ".absent").c_str(), 0);
	sync_both(place, aside.get());
	remove_if_empty(place);
	return Outcome::fine();
}

namespace {

// Of a regular file; 0 where there is none.
ino_t inode_of(int dir, const std::string &name) {
	struct stat at;
	return fstatat(dir, name.c_str(), &at, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(at.st_mode) ? at.st_ino : 0;
}

// Which file bore which name before a rotation: path, path.1, … path.keep; 0 where there was none. So that taking it back
// is exact wherever the rotation stopped, and may itself be stopped and begun again.
Outcome note_names(const Place &place, int aside, int64_t keep, const std::string &key) {
	Encoder note;
	note.array(static_cast<size_t>(keep) + 1);
	for (int64_t i = 0; i <= keep; i++) {
		std::string name = numbered(place.leaf, i);
		ino_t inode = inode_of(place.parent.get(), name);
		if (inode == 0 && exists(place.parent.get(), name))
			return Outcome::refused(name + ": not a regular file");
		note.number(static_cast<int64_t>(inode));
	}
	Fd file(openat(aside, (key + ".names").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (!file.ok())
		return Outcome::error(key, errno);
	Outcome wrote = write_all(file.get(), note.data());
	return wrote.ok() && fsync(aside) != 0 ? Outcome::error("fsync", errno) : wrote;
}

bool read_names(int aside, int64_t keep, const std::string &key, Value *names) {
	Fd file(openat(aside, (key + ".names").c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
	uint8_t buffer[1024];
	ssize_t got = file.ok() ? read(file.get(), buffer, sizeof buffer) : -1;
	const char *why;
	return got > 0 && decode_cbor(buffer, static_cast<size_t>(got), names, &why) && names->is(Value::kArray) &&
	       names->items.size() == static_cast<size_t>(keep) + 1;
}

// What was written to the new file since is not lost: it follows what the old one holds.
Outcome append_to(const Place &place, int aside, const std::string &from) {
	Fd source(openat(aside, from.c_str(), O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
	if (!source.ok())
		return errno == ENOENT || errno == ELOOP || errno == ENXIO ? Outcome::fine() : Outcome::error(from, errno); // nor do a link and a socket hold any
	struct stat at, to;
	if (fstat(source.get(), &at) != 0 || !S_ISREG(at.st_mode) || at.st_size == 0)
		return Outcome::fine();
	if (at.st_size > kMaxCopiedBytes)
		return Outcome::failed(place.path + ": what was written since is more than 1 GiB; it stays in " + kAside + "/" + from);
	Fd target(openat(place.parent.get(), place.leaf.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
	if (!target.ok())
		return Outcome::error(place.path, errno);
	if (fstat(target.get(), &to) != 0 || !S_ISREG(to.st_mode) || to.st_nlink > 1) // its directory's owner may have put anything there
		return Outcome::refused(place.path + ": not a regular file with one name");
	Outcome copied = copy_bytes(source.get(), target.get());
	return copied.ok() && fsync(target.get()) != 0 ? Outcome::error(place.path, errno) : copied;
}

Outcome names_back(const Place &place, int aside, int64_t keep, const std::string &key, const Value &names) {
	int parent = place.parent.get();
	auto before = [&](int64_t i) { return static_cast<ino_t>(names.items[static_cast<size_t>(i)].number); };
	ino_t now = inode_of(parent, place.leaf);
	if (now != before(0) && exists(parent, place.leaf) && renameat2(parent, place.leaf.c_str(), aside, (key + ".new").c_str(), 0) != 0)
		return Outcome::error(place.path, errno);
	for (int64_t i = 0; i < keep; i++) {
		std::string to = numbered(place.leaf, i), from = numbered(place.leaf, i + 1);
		if (before(i) == 0 || inode_of(parent, to) == before(i))
			continue;
		if (inode_of(parent, from) != before(i))
			return Outcome::failed(to + ": what it was is not at " + from);
		if (renameat2(parent, from.c_str(), parent, to.c_str(), RENAME_NOREPLACE) != 0)
			return Outcome::error(from, errno);
	}
	std::string last = numbered(place.leaf, keep);
	if (exists(aside, key) && renameat2(aside, key.c_str(), parent, last.c_str(), RENAME_NOREPLACE) != 0)
		return Outcome::error(last, errno);
	return append_to(place, aside, key + ".new");
}

} // namespace

Outcome file_rotate(const Policy &policy, const std::string &path, int64_t keep, const std::string &key) {
	Place place;
	Fd aside;
	struct stat at;
	if (keep < 1 || keep > kMaxKeep)
		return Outcome::refused(path + ": " + std::to_string(keep) + " files to keep: must be 1 to 32");
	Outcome step = find(policy, path, &place);
	if (step.ok())
		step = look(place, &at);
	if (step.ok())
		step = open_aside(place, true, &aside);
	if (step.ok())
		step = note_names(place, aside.get(), keep, key);
	if (step.ok())
		step = make_new(aside.get(), key + ".new", "", at);
	if (!step.ok())
		return step;
	int parent = place.parent.get();
	std::string last = numbered(place.leaf, keep);
	if (exists(parent, last) && renameat2(parent, last.c_str(), aside.get(), key.c_str(), RENAME_NOREPLACE) != 0)
		return Outcome::error(last, errno);
	for (int64_t i = keep; i > 0; i--) {
		std::string from = numbered(place.leaf, i - 1), to = numbered(place.leaf, i);
		if (renameat2(parent, from.c_str(), parent, to.c_str(), RENAME_NOREPLACE) != 0 && errno != ENOENT)
			return Outcome::error(from, errno);
	}
	if (renameat2(aside.get(), (key + ".new").c_str(), parent, place.leaf.c_str(), RENAME_NOREPLACE) != 0)
		return Outcome::error(path, errno);
	sync_both(place, aside.get());
	return Outcome::fine();
}

Outcome file_unrotate(const Policy &policy, const std::string &path, int64_t keep, const std::string &key) {
	Place place;
	Fd aside;
	Value names;
	Outcome step = find(policy, path, &place);
	if (!step.ok())
		return step;
	step = open_aside(place, false, &aside);
	if (step.code == Outcome::kNotFound)
		return Outcome::fine();
	if (!step.ok())
		return step;
	if (read_names(aside.get(), keep, key, &names)) {
		step = names_back(place, aside.get(), keep, key, names);
		if (!step.ok())
			return step;
		sync_both(place, aside.get());
	}
	unlinkat(aside.get(), (key + ".names").c_str(), 0);
	unlinkat(aside.get(), (key + ".new").c_str(), 0);
	remove_if_empty(place);
	return Outcome::fine();
}

namespace {

void prune_archive(const Fd &archive) {
	Directory directory(archive);
	std::vector<std::pair<int64_t, std::string>> kept;
	while (const char *name = directory.next()) {
		struct stat at;
		if (name[0] != '.' && fstatat(archive.get(), name, &at, AT_SYMLINK_NOFOLLOW) == 0)
			kept.emplace_back(int64_t{at.st_ctim.tv_sec} * 1000000000 + at.st_ctim.tv_nsec, name);
	}
	std::sort(kept.begin(), kept.end());
	for (size_t i = 0; i + kMaxArchived < kept.size(); i++)
		unlinkat(archive.get(), kept[i].second.c_str(), 0);
}

void archive_old(int aside, const std::string &key, const std::string &archive_path) {
	Fd old(openat(aside, key.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
	Fd archive(open(archive_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct stat at;
	if (!old.ok() || !archive.ok() || fstat(old.get(), &at) != 0 || !S_ISREG(at.st_mode) || at.st_size > kMaxArchivedBytes)
		return;
	std::string content(static_cast<size_t>(at.st_size), '\0');
	ssize_t got = read(old.get(), content.data(), content.size());
	if (got != at.st_size)
		return;
	make_new(archive.get(), key, content, at);
	prune_archive(archive);
}

} // namespace

void file_settle(const Policy &policy, const std::string &path, const std::string &key, const std::string &archive) {
	Place place;
	Fd aside;
	if (!find(policy, path, &place).ok() || !open_aside(place, false, &aside).ok())
		return;
	archive_old(aside.get(), key, archive);
	for (const char *suffix : {"", ".new", ".absent", ".names"})
		unlinkat(aside.get(), (key + suffix).c_str(), 0);
	fsync(aside.get());
	remove_if_empty(place);
}

Outcome file_recall(const Policy &policy, const std::string &path, const std::string &archived, const std::string &archive, const std::string &key) {
	std::string content;
	std::string from = archive + "/" + archived;
	struct stat at;
	if (!is_plain_name(archived) || lstat(from.c_str(), &at) != 0 || !read_whole(from, kMaxArchivedBytes, &content))
		return Outcome::not_found(archived + ": no such backup is kept");
	return file_replace(policy, path, content, at.st_mode & 0777, key);
}

namespace {

const char *type_of(const struct stat &at) {
	if (S_ISREG(at.st_mode))
		return "file";
	if (S_ISDIR(at.st_mode))
		return "directory";
	return S_ISLNK(at.st_mode) ? "link" : "other";
}

} // namespace

Outcome file_stat(const Policy &policy, const std::string &path, Encoder *answer) {
	Place place;
	struct stat at;
	Outcome step = find(policy, path, &place, true);
	if (!step.ok())
		return step;
	if (fstatat(place.parent.get(), place.leaf.c_str(), &at, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? Outcome::not_found(path + ": no such file") : Outcome::error(path, errno);
	answer->array(9).text(path).text(type_of(at)).number(at.st_size).number(at.st_mode & 07777).number(at.st_uid).number(at.st_gid);
	answer->number(int64_t{at.st_mtim.tv_sec} * 1000 + at.st_mtim.tv_nsec / 1000000).number(static_cast<int64_t>(at.st_nlink)).number(static_cast<int64_t>(at.st_ino));
	return Outcome::fine();
}

Outcome file_list(const Policy &policy, const std::string &path, Encoder *answer) {
	Place place;
	Outcome step = find(policy, path + "/x", &place, true); // the directory itself may be the allowed one
	if (!step.ok())
		return step;
	Directory directory(place.parent);
	if (!directory.ok())
		return Outcome::error(path, errno);
	std::vector<std::string> names;
	while (const char *entry = directory.next()) {
		std::string name = entry;
		if (name != "." && name != ".." && name.compare(0, sizeof kAside - 1, kAside) != 0 && is_plain_path(path + "/" + name) && names.size() < kMaxEntries)
			names.push_back(name);
	}
	std::sort(names.begin(), names.end());
	Encoder entries;
	size_t count = 0;
	for (const std::string &name : names)
		if (file_stat(policy, path + "/" + name, &entries).ok())
			count++;
	answer->array(count).splice(entries.data());
	return Outcome::fine();
}

Outcome file_read(const Policy &policy, const std::string &path, Encoder *answer) {
	Place place;
	struct stat at;
	Outcome step = find(policy, path, &place, true);
	if (step.ok())
		step = look(place, &at);
	if (!step.ok())
		return step;
	Fd file(openat(place.parent.get(), place.leaf.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
	if (!file.ok() || fstat(file.get(), &at) != 0 || !S_ISREG(at.st_mode))
		return Outcome::error(path, errno);
	if (static_cast<size_t>(at.st_size) > kMaxReadBytes)
		return Outcome::refused(path + ": larger than 512 KiB");
	std::string content(kMaxReadBytes, '\0');
	ssize_t got = read(file.get(), content.data(), content.size());
	if (got < 0)
		return Outcome::error(path, errno);
	content.resize(static_cast<size_t>(got));
	answer->bytes(content);
	return Outcome::fine();
}
