// SPDX-License-Identifier: Apache-2.0
// Open descriptors by way of /proc/PID/fd and fdinfo.
#include "writers.h"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "../fd.h"
#include "files.h"
#include "machine.h"

namespace {

constexpr size_t kMaxWriters = 32;
constexpr size_t kMaxDescriptors = 65536; // looked at, of all processes

// The names in a directory of /proc that are numbers.
std::vector<std::string> numbers_in(const std::string &directory) {
	std::vector<std::string> names;
	Directory entries(directory.c_str());
	while (const char *name = entries.next())
		if (name[0] >= '0' && name[0] <= '9')
			names.emplace_back(name);
	return names;
}

bool is_for_writing(const std::string &process, const std::string &descriptor) {
	std::string info;
	if (!read_whole(process + "/fdinfo/" + descriptor, 4096, &info))
		return false;
	size_t at = info.find("flags:");
	return at != std::string::npos && (strtoll(info.c_str() + at + strlen("flags:"), nullptr, 8) & O_ACCMODE) != O_RDONLY;
}

int64_t written_by(const std::string &process) {
	std::string io;
	size_t at = read_whole(process + "/io", 4096, &io) ? io.find("wchar:") : std::string::npos;
	return at == std::string::npos ? 0 : strtoll(io.c_str() + at + strlen("wchar:"), nullptr, 10);
}

} // namespace

Outcome file_writers(const Policy &policy, const Services &services, const std::string &path, Encoder *answer) {
	Encoder unused;
	Outcome allowed = file_stat(policy, path, &unused);
	struct stat file, open;
	if (!allowed.ok())
		return allowed;
	if (lstat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode))
		return Outcome::not_found(path + ": not a regular file");
	Encoder found;
	size_t count = 0, looked = 0;
	for (const std::string &name : numbers_in("/proc")) {
		std::string process = "/proc/" + name;
		pid_t pid = static_cast<pid_t>(strtol(name.c_str(), nullptr, 10));
		bool writes = false;
		for (const std::string &descriptor : numbers_in(process + "/fd")) {
			if (writes || ++looked > kMaxDescriptors)
				break;
			bool same = stat((process + "/fd/" + descriptor).c_str(), &open) == 0 && open.st_dev == file.st_dev && open.st_ino == file.st_ino;
			writes = same && is_for_writing(process, descriptor);
		}
		int64_t start;
		if (!writes || count == kMaxWriters || !read_process(pid, &start, nullptr, nullptr))
			continue;
		count++;
		struct stat owner = {};
		stat(process.c_str(), &owner);
		found.array(6).number(pid).number(start).text(process_name(pid)).number(owner.st_uid).text(services.owner_of(pid)).number(written_by(process));
	}
	answer->array(count).splice(found.data());
	return Outcome::fine();
}
