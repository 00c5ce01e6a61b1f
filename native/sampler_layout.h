/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one sample looks like in memory: an array of doubles that the addon fills and node/telemetry reads.
 * A figure that the machine lacks is NaN. Names are raw bytes in the place of doubles, NUL-padded.
 *
 *   header   HEADER_DOUBLES
 *   disks    header[H_DISKS]     x DISK_DOUBLES
 *   mounts   header[H_MOUNTS]    x MOUNT_DOUBLES
 *   processes header[H_PROCESSES] x PROCESS_DOUBLES
 */
#ifndef KALOS_SAMPLER_LAYOUT_H
#define KALOS_SAMPLER_LAYOUT_H

#define LAYOUT_VERSION 1

/* A line for each source of figures. */
/* clang-format off */

enum header_field {
	H_VERSION, H_CPUS, H_TICKS,
	H_CPU_USER, H_CPU_SYSTEM, H_CPU_IDLE, H_CPU_IOWAIT, H_CPU_STEAL,
	H_LOAD1, H_LOAD5, H_LOAD15,
	H_MEM_TOTAL, H_MEM_AVAILABLE, H_SWAP_TOTAL, H_SWAP_FREE,
	H_PSI_CPU_SOME, H_PSI_CPU_FULL, H_PSI_MEMORY_SOME, H_PSI_MEMORY_FULL, H_PSI_IO_SOME, H_PSI_IO_FULL,
	H_DISKS, H_MOUNTS, H_PROCESSES,
	HEADER_DOUBLES
};

#define DISK_NAME_BYTES 32
enum disk_field { D_NAME, D_READ_BYTES = DISK_NAME_BYTES / 8, D_WRITTEN_BYTES, D_BUSY_MS, DISK_DOUBLES };

#define MOUNT_PATH_BYTES 256
#define MOUNT_DEVICE_BYTES 64
#define MOUNT_TYPE_BYTES 16
enum mount_field {
	M_PATH,
	M_DEVICE = M_PATH + MOUNT_PATH_BYTES / 8,
	M_TYPE = M_DEVICE + MOUNT_DEVICE_BYTES / 8,
	M_SIZE = M_TYPE + MOUNT_TYPE_BYTES / 8,
	M_AVAILABLE, M_INODES, M_INODES_FREE,
	MOUNT_DOUBLES
};

#define PROCESS_NAME_BYTES 64
enum process_field {
	P_NAME,
	P_PID = PROCESS_NAME_BYTES / 8,
	P_PARENT, P_STATE, P_THREADS, P_CPU_TICKS, P_RSS_BYTES, P_START_TICKS,
	PROCESS_DOUBLES
};

#endif
