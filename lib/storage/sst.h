/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The door to RocksDB: sorted tables of keys and values in one immutable file, written once in key
 * order and read with checksums. RocksDB serves as a table library only: there is no DB behind it,
 * and it sees files only through the env, so that the simulator's disk is its disk too.
 *
 *   sst_writer_open -> add, add, ... -> finish (synced; gives the file's sum) | abort
 *   sst_reader_open (checks the sum's tail) -> sst_iter_new -> seek, next ...
 *
 * Pinned: table format version 5, bytewise key order, zstd, xxh3 checksums of every table block.
 *
 * Ownership: a door outlives its readers and writers, a reader its iterators. Threads: a door and a
 * reader serve any number of threads at once; a writer and an iterator one at a time. All calls
 * block on files. No exception leaves this file. */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SST_TAIL_SIZE_MAX = 4096 };

struct env;
struct sst_door;
struct sst_writer;
struct sst_reader;
struct sst_iter;

struct sst_door_options {
    size_t cache_size_bytes; /* of decoded table blocks, shared by all readers */
};

enum sst_profile {
    SST_INDEX, /* small values that are alike: a dictionary, smaller table blocks */
    SST_DATA,  /* chunks, read in runs */
};

/* What a file must be; kept beside it by whoever wrote it. */
struct sst_sum {
    uint64_t size_bytes;
    uint32_t crc;      /* CRC32C of the whole file */
    uint32_t tail_crc; /* CRC32C of its last SST_TAIL_SIZE_MAX bytes (of all, if it is smaller) */
};

/* Borrows env. */
struct sst_door *sst_door_new(struct env *env, struct sst_door_options options);
void sst_door_free(struct sst_door *door);
struct sst_cache_stats {
    size_t size_bytes;     /* of table blocks held */
    uint64_t hits, misses; /* table blocks asked for, since the door was made */
};
struct sst_cache_stats sst_door_cache_stats(const struct sst_door *door);

/* Creates the file; ERR_EXISTS if it is there. */
enum err sst_writer_open(struct sst_door *door, const char *path, enum sst_profile profile,
                         struct sst_writer **writer, struct err_info *info) MUST_USE;
/* The caller keeps keys strictly increasing. Fails early once a write has failed. */
enum err sst_writer_add(struct sst_writer *writer, struct slice key, struct slice value,
                        struct err_info *info) MUST_USE;
/* Takes writer: writes the rest, syncs and closes. At least one key was added. After an error the
 * file is to be removed by the caller. */
enum err sst_writer_finish(struct sst_writer *writer, struct sst_sum *sum,
                           struct err_info *info) MUST_USE;
/* Takes writer (NULL is fine); what was written stays for the caller to remove. */
void sst_writer_abort(struct sst_writer *writer);

/* ERR_CORRUPT if the file is not what sum says; the message names the path. */
enum err sst_reader_open(struct sst_door *door, const char *path, const struct sst_sum *sum,
                         struct sst_reader **reader, struct err_info *info) MUST_USE;
/* Takes reader; NULL is fine. */
void sst_reader_close(struct sst_reader *reader);
/* Reads the whole file: its CRC against the sum. */
enum err sst_reader_verify(struct sst_reader *reader, struct err_info *info) MUST_USE;

/* Stands before the first key. */
struct sst_iter *sst_iter_new(struct sst_reader *reader);
void sst_iter_free(struct sst_iter *iter);
/* To the first key at or after `key`. False at the end or on error. */
bool sst_iter_seek(struct sst_iter *iter, struct slice key);
/* To the key after; the iterator stands on one. False at the end or on error. */
bool sst_iter_next(struct sst_iter *iter);
/* Borrowed until the iterator moves; only after seek or next said true. */
struct slice sst_iter_key(const struct sst_iter *iter);
struct slice sst_iter_value(const struct sst_iter *iter);
/* ERR_OK at the end of the table; else why the iterator stopped. */
enum err sst_iter_err(const struct sst_iter *iter, struct err_info *info) MUST_USE;

#ifdef __cplusplus
}
#endif
