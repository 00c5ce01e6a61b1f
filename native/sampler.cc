// SPDX-License-Identifier: Apache-2.0
// One call samples /proc (proc(5)), PSI and mounts into an array of doubles laid out by sampler_layout.h.
// Node-API only, so one build serves every Node version. It reads and never writes; it keeps nothing between calls.

#include <node_api.h>

#include <climits>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <fcntl.h>
#include <cstddef>
#include <malloc.h>
#include <memory>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "fd.h"
#include "sampler_layout.h"

namespace {

constexpr size_t kFileBytes = 1 << 20;
constexpr int kMaxDisks = 2048;
constexpr int kMaxMounts = 256;
constexpr int kMaxProcesses = 20000;

struct Release {
	void operator()(void *memory) const { free(memory); }
	void operator()(FILE *file) const { fclose(file); }
};

// Where the next record goes; `capacity` in doubles. A record that does not fit is counted as needed, not written.
struct Output {
	double *data;
	size_t capacity;
	size_t used;

	double *take(size_t doubles) {
		size_t at = used;
		used += doubles;
		if (used > capacity)
			return nullptr;
		memset(data + at, 0, doubles * sizeof(double));
		return data + at;
	}
};

// Of another machine, whose files lie below a directory; empty for this one.
thread_local char root[PATH_MAX] = "";

const char *below(const char *path) {
	static thread_local char whole[2 * PATH_MAX];
	if (root[0] == '\0')
		return path;
	snprintf(whole, sizeof whole, "%s%s", root, path);
	return whole;
}

// Reads a whole small file, NUL-terminated; length, or -1. Of one that is larger the last line is left out where it was cut.
ssize_t read_file(int dir, const char *path, char *buffer, size_t size) {
	Fd fd(openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
	if (!fd.ok())
		return -1;
	size_t length = 0;
	for (;;) {
		ssize_t got = read(fd.get(), buffer + length, size - 1 - length);
		if (got <= 0)
			break;
		length += static_cast<size_t>(got);
		if (length == size - 1)
			break;
	}
	bool cut = length == size - 1;
	while (cut && length > 0 && buffer[length - 1] != '\n')
		length--;
	buffer[length] = '\0';
	return static_cast<ssize_t>(length);
}

void copy_name(double *field, const char *name, size_t length, size_t size) {
	memcpy(field, name, length < size ? length : size - 1);
}

void read_cpu(double *header, char *buffer) {
	// proc(5): what came later than idle is 0 where a kernel does not have it.
	double user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0;
	if (read_file(AT_FDCWD, below("/proc/stat"), buffer, kFileBytes) < 0)
		return;
	if (sscanf(buffer, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal) < 4)
		return;
	for (double ticks : {user, nice, system, idle, iowait, irq, softirq, steal})
		if (ticks < 0)
			return;
	header[H_CPU_USER] = user + nice;
	header[H_CPU_SYSTEM] = system + irq + softirq;
	header[H_CPU_IDLE] = idle;
	header[H_CPU_IOWAIT] = iowait;
	header[H_CPU_STEAL] = steal;
}

// The number after a key that begins a line; NAN where there is none.
double number_after(const char *text, const char *key) {
	size_t length = strlen(key);
	for (const char *line = text; line != nullptr; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, key, length) != 0)
			continue;
		const char *value = line + length;
		while (*value == ' ' || *value == '\t')
			value++;
		return isdigit(static_cast<unsigned char>(*value)) ? strtod(value, nullptr) : NAN;
	}
	return NAN;
}

double meminfo_bytes(const char *text, const char *key) { return number_after(text, key) * 1024; }

void read_memory(double *header, char *buffer) {
	if (read_file(AT_FDCWD, below("/proc/meminfo"), buffer, kFileBytes) < 0)
		return;
	header[H_MEM_TOTAL] = meminfo_bytes(buffer, "MemTotal:");
	header[H_MEM_AVAILABLE] = meminfo_bytes(buffer, "MemAvailable:");
	header[H_SWAP_TOTAL] = meminfo_bytes(buffer, "SwapTotal:");
	header[H_SWAP_FREE] = meminfo_bytes(buffer, "SwapFree:");
}

void read_pressure(double *some, double *full, const char *path, char *buffer) {
	if (read_file(AT_FDCWD, below(path), buffer, kFileBytes) < 0)
		return;
	*some = number_after(buffer, "some avg10=");
	*full = number_after(buffer, "full avg10=");
}

// All block devices: which of them count is for the readers, both of them alike (bottomDisks).
int read_disks(Output *out, char *buffer) {
	int count = 0;
	if (read_file(AT_FDCWD, below("/proc/diskstats"), buffer, kFileBytes) < 0)
		return 0;
	for (char *line = strtok(buffer, "\n"); line != nullptr && count < kMaxDisks; line = strtok(nullptr, "\n")) {
		char name[DISK_NAME_BYTES];
		double read_sectors, written_sectors, busy_ms;
		if (sscanf(line, " %*d %*d %31s %*f %*f %lf %*f %*f %*f %lf %*f %*f %lf", name, &read_sectors, &written_sectors, &busy_ms) != 4 || read_sectors < 0 ||
		    written_sectors < 0 || busy_ms < 0)
			continue;
		double *record = out->take(DISK_DOUBLES);
		count++;
		if (record == nullptr)
			continue;
		copy_name(record + D_NAME, name, strlen(name), DISK_NAME_BYTES);
		record[D_READ_BYTES] = read_sectors * 512;
		record[D_WRITTEN_BYTES] = written_sectors * 512;
		record[D_BUSY_MS] = busy_ms;
	}
	return count;
}

bool is_file_system(const char *type) {
	static const char *const kTypes[] = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "vfat", "tmpfs", "overlay"};
	for (const char *known : kTypes)
		if (strcmp(type, known) == 0)
			return true;
	return false;
}

bool is_seen(const char seen[][MOUNT_PATH_BYTES], int count, const char *name) {
	for (int i = 0; i < count; i++)
		if (strncmp(seen[i], name, MOUNT_PATH_BYTES - 1) == 0)
			return true;
	return false;
}

// The next field of a line, which ends with a blank; the line goes on after it.
char *next_field(char **line) { return strsep(line, " "); }

// fstab(5): blanks and the like are octal; in place.
void unescape(char *text) {
	char *to = text;
	for (const char *from = text; *from != '\0'; to++) {
		bool octal = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7';
		*to = octal ? static_cast<char>((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0')) : *from;
		from += octal ? 4 : 1;
	}
	*to = '\0';
}

bool has_option(const char *options, const char *wanted) {
	size_t length = strlen(wanted);
	for (const char *at = options; at != nullptr; at = strchr(at, ',')) {
		if (*at == ',')
			at++;
		if (strncmp(at, wanted, length) == 0 && (at[length] == '\0' || at[length] == ','))
			return true;
	}
	return false;
}

// A device mounted twice counts once; so does a path. Read-only mounts cannot fill and are left out.
int read_mounts(Output *out, char *buffer) {
	static thread_local char seen[kMaxMounts][MOUNT_PATH_BYTES];
	int count = 0;
	if (read_file(AT_FDCWD, below("/proc/self/mounts"), buffer, kFileBytes) < 0)
		return 0;
	char *rest = buffer;
	while (count < kMaxMounts && rest != nullptr) {
		char *line = strsep(&rest, "\n");
		char *device = next_field(&line), *path = next_field(&line), *type = next_field(&line), *options = next_field(&line);
		if (options == nullptr || !is_file_system(type) || has_option(options, "ro"))
			continue;
		unescape(device);
		unescape(path);
		struct statvfs fs;
		bool shared_name = strcmp(type, "tmpfs") == 0 || strcmp(type, "overlay") == 0;
		const char *key = shared_name ? path : device;
		if (strlen(path) >= MOUNT_PATH_BYTES || is_seen(seen, count, key) || statvfs(below(path), &fs) != 0)
			continue;
		snprintf(seen[count], MOUNT_PATH_BYTES, "%s", key);
		count++;
		double *record = out->take(MOUNT_DOUBLES);
		if (record == nullptr)
			continue;
		copy_name(record + M_PATH, path, strlen(path), MOUNT_PATH_BYTES);
		copy_name(record + M_DEVICE, device, strlen(device), MOUNT_DEVICE_BYTES);
		copy_name(record + M_TYPE, type, strlen(type), MOUNT_TYPE_BYTES);
		record[M_SIZE] = static_cast<double>(fs.f_blocks) * static_cast<double>(fs.f_frsize);
		record[M_AVAILABLE] = static_cast<double>(fs.f_bavail) * static_cast<double>(fs.f_frsize);
		record[M_INODES] = static_cast<double>(fs.f_files);
		record[M_INODES_FREE] = static_cast<double>(fs.f_ffree);
	}
	return count;
}

// Skips `count` space-separated fields.
const char *skip(const char *at, int count) {
	while (count-- > 0 && at != nullptr) {
		at = strchr(at, ' ');
		if (at != nullptr)
			at++;
	}
	return at;
}

// The name may hold spaces and parentheses: the last ')' ends it.
bool parse_process(const char *text, double *record, double page_bytes) {
	const char *open = strchr(text, '(');
	const char *close = strrchr(text, ')');
	if (open == nullptr || close == nullptr || close < open || close[1] != ' ' || close[2] == '\0')
		return false;
	const char *state = close + 2;
	const char *ticks = skip(state, 11);
	const char *threads = skip(state, 17);
	const char *start = skip(state, 19);
	const char *rss = skip(state, 21);
	if (rss == nullptr)
		return false;
	const struct {
		int field;
		const char *at;
	} numbers[] = {{P_PID, text}, {P_PARENT, state + 2}, {P_CPU_TICKS, ticks}, {P_THREADS, threads}, {P_START_TICKS, start}, {P_RSS_BYTES, rss}};
	for (const auto &number : numbers) {
		if (!isdigit(static_cast<unsigned char>(*number.at)))
			return false;
		record[number.field] = strtod(number.at, nullptr);
	}
	copy_name(record + P_NAME, open + 1, static_cast<size_t>(close - open - 1), PROCESS_NAME_BYTES);
	record[P_STATE] = static_cast<unsigned char>(*state);
	record[P_CPU_TICKS] += strtod(skip(ticks, 1), nullptr);
	record[P_RSS_BYTES] *= page_bytes;
	return record[P_PID] > 0;
}

int read_processes(Output *out) {
	Directory proc(below("/proc"));
	int count = 0;
	double page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
	while (const char *name = count < kMaxProcesses ? proc.next() : nullptr) {
		char path[280], text[1024];
		double scratch[PROCESS_DOUBLES] = {};
		if (name[0] < '0' || name[0] > '9')
			continue;
		snprintf(path, sizeof path, "%s/stat", name);
		if (read_file(proc.fd(), path, text, sizeof text) < 0 || !parse_process(text, scratch, page_bytes))
			continue;
		count++;
		double *record = out->take(PROCESS_DOUBLES);
		if (record != nullptr)
			memcpy(record, scratch, sizeof scratch);
	}
	return count;
}

size_t take_sample(double *data, size_t capacity) {
	Output out = {data, capacity, 0};
	std::unique_ptr<char, Release> memory(static_cast<char *>(malloc(kFileBytes)));
	char *buffer = memory.get();
	double *header = out.take(HEADER_DOUBLES);
	if (buffer == nullptr || header == nullptr)
		return HEADER_DOUBLES;
	for (int i = 0; i < HEADER_DOUBLES; i++)
		header[i] = NAN;
	header[H_VERSION] = LAYOUT_VERSION;
	header[H_CPUS] = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
	header[H_TICKS] = static_cast<double>(sysconf(_SC_CLK_TCK));
	read_cpu(header, buffer);
	if (read_file(AT_FDCWD, below("/proc/loadavg"), buffer, kFileBytes) < 0 ||
	    sscanf(buffer, "%lf %lf %lf", &header[H_LOAD1], &header[H_LOAD5], &header[H_LOAD15]) != 3 || header[H_LOAD1] < 0)
		header[H_LOAD1] = NAN;
	read_memory(header, buffer);
	read_pressure(&header[H_PSI_CPU_SOME], &header[H_PSI_CPU_FULL], "/proc/pressure/cpu", buffer);
	read_pressure(&header[H_PSI_MEMORY_SOME], &header[H_PSI_MEMORY_FULL], "/proc/pressure/memory", buffer);
	read_pressure(&header[H_PSI_IO_SOME], &header[H_PSI_IO_FULL], "/proc/pressure/io", buffer);
	header[H_DISKS] = read_disks(&out, buffer);
	header[H_MOUNTS] = read_mounts(&out, buffer);
	header[H_PROCESSES] = read_processes(&out);
	return out.used;
}

// sample(Float64Array, root?) -> doubles needed; the array is whole when that is no more than its length. `root`: a directory with
// another machine's /proc, for tests.
napi_value Sample(napi_env env, napi_callback_info info) {
	napi_value arguments[2], result;
	size_t argc = 2, length = 0, root_length = 0;
	napi_typedarray_type type;
	void *data = nullptr;
	root[0] = '\0';
	if (napi_get_cb_info(env, info, &argc, arguments, nullptr, nullptr) != napi_ok || argc < 1 ||
	    napi_get_typedarray_info(env, arguments[0], &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_float64_array ||
	    (argc > 1 && napi_get_value_string_utf8(env, arguments[1], root, sizeof root, &root_length) != napi_ok)) {
		napi_throw_type_error(env, "KALOS_SAMPLER", "sample takes one Float64Array, and perhaps a directory");
		return nullptr;
	}
	napi_create_uint32(env, static_cast<uint32_t>(take_sample(static_cast<double *>(data), length)), &result);
	return result;
}

// The program's own code that was needed to start it, and is not any more: what is still used is mapped again from the page cache
// when it runs next. Only code, which is never written to: other parts of the file are, by the dynamic linker.
void forget_code() {
	char program[PATH_MAX], line[PATH_MAX + 128];
	ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
	std::unique_ptr<FILE, Release> maps(length <= 0 ? nullptr : fopen("/proc/self/maps", "re"));
	if (maps == nullptr)
		return;
	program[length] = '\0';
	while (fgets(line, sizeof line, maps.get()) != nullptr) {
		unsigned long from, to;
		char rights[5];
		int at = 0;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %n", &from, &to, rights, &at) == 3 && at > 0 && strcmp(rights, "r-xp") == 0 && strcmp(line + at, program) == 0)
			madvise(reinterpret_cast<void *>(from), to - from, MADV_DONTNEED);
	}
}

// trim() -> undefined; gives the memory that malloc holds unused back to the machine, and code that has not run lately.
napi_value Trim(napi_env, napi_callback_info) {
	malloc_trim(0);
	forget_code();
	return nullptr;
}

// notify(text) -> whether systemd was notified: a datagram to $NOTIFY_SOCKET, as sd_notify(3) sends it.
napi_value Notify(napi_env env, napi_callback_info info) {
	napi_value argument, result;
	size_t argc = 1, length = 0;
	char text[256];
	const char *path = getenv("NOTIFY_SOCKET");
	if (napi_get_cb_info(env, info, &argc, &argument, nullptr, nullptr) != napi_ok || argc != 1 ||
	    napi_get_value_string_utf8(env, argument, text, sizeof text, &length) != napi_ok) {
		napi_throw_type_error(env, "KALOS_NOTIFY", "notify takes a text");
		return nullptr;
	}
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	bool sent = false;
	size_t size = path == nullptr ? 0 : strlen(path);
	if (size > 1 && size < sizeof address.sun_path) {
		memcpy(address.sun_path, path, size);
		if (path[0] == '@') // an abstract name
			address.sun_path[0] = 0;
		Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
		socklen_t whole = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
		sent = fd.ok() && sendto(fd.get(), text, length, MSG_NOSIGNAL, reinterpret_cast<sockaddr *>(&address), whole) == static_cast<ssize_t>(length);
	}
	napi_get_boolean(env, sent, &result);
	return result;
}

} // namespace

NAPI_MODULE_INIT() {
	napi_value function, version;
	napi_create_function(env, "sample", NAPI_AUTO_LENGTH, Sample, nullptr, &function);
	napi_set_named_property(env, exports, "sample", function);
	napi_create_function(env, "trim", NAPI_AUTO_LENGTH, Trim, nullptr, &function);
	napi_set_named_property(env, exports, "trim", function);
	napi_create_function(env, "notify", NAPI_AUTO_LENGTH, Notify, nullptr, &function);
	napi_set_named_property(env, exports, "notify", function);
	napi_create_uint32(env, LAYOUT_VERSION, &version);
	napi_set_named_property(env, exports, "layoutVersion", version);
	return exports;
}
