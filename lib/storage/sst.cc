/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/sst.h"

#include <exception>
#include <memory>
#include <new>
#include <string>

#include <rocksdb/cache.h>
#include <rocksdb/comparator.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>

#include "base/assert.h"
extern "C" {
#include "base/crc32c.h"
}
#include "storage/sst_file.h"

/* Three facts of RocksDB 7.8 shape this file:
 * - A file that fails a write makes later appends trip RocksDB's own assertions. So our writable
 *   file never fails towards it: it keeps the first error, swallows the rest, and the writer looks
 *   at that error itself, after every key and at the end.
 * - SstFileWriter::Put hides the table builder's errors until Finish; the same look finds them.
 * - The footer has no checksum. The sum's tail CRC covers it before RocksDB sees it. */

namespace
{

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr size_t INDEX_BLOCK_SIZE = 16 << 10;
constexpr size_t DATA_BLOCK_SIZE = 32 << 10;
/* The index is small and read often: a sixth smaller than at zstd's own 3. Chunks are packed
 * already and gain nothing. */
constexpr int INDEX_LEVEL = 12;
constexpr uint32_t INDEX_DICT_SIZE = 16 << 10;
constexpr uint32_t INDEX_DICT_SAMPLE_SIZE = 512 << 10;
constexpr uint64_t INDEX_DICT_BUFFER_SIZE = 1 << 20;
constexpr size_t TAIL_SIZE = SST_TAIL_SIZE_MAX;
constexpr size_t VERIFY_READ_SIZE = 256 << 10;

rocksdb::Slice to_rocks(struct slice s)
{
    return rocksdb::Slice(s.data != nullptr ? s.data : "", s.len);
}

struct slice from_rocks(const rocksdb::Slice &s)
{
    return slice_of(s.data(), s.size());
}

IOStatus io_status(enum err err)
{
    switch (err) {
    case ERR_OK:
        return IOStatus::OK();
    case ERR_NO_SPACE:
        return IOStatus::NoSpace();
    case ERR_NOT_FOUND:
        return IOStatus::PathNotFound();
    case ERR_CORRUPT:
        return IOStatus::Corruption();
    default:
        return IOStatus::IOError(err_text(err));
    }
}

enum err status_err(const rocksdb::Status &status)
{
    if (status.ok())
        return ERR_OK;
    if (status.IsNoSpace())
        return ERR_NO_SPACE;
    if (status.IsPathNotFound())
        return ERR_NOT_FOUND;
    if (status.IsMemoryLimit())
        return ERR_LIMIT;
    if (status.IsIOError())
        return ERR_IO;
    /* Corruption, and what damaged metadata makes of itself: NotSupported, InvalidArgument. */
    return ERR_CORRUPT;
}

/* What a writer and its file share: the file outlives neither, but RocksDB owns the file. */
struct write_state {
    enum err err = ERR_OK; /* the first failure; sticky */
    uint64_t size_bytes = 0;
    uint32_t crc = 0;
    std::string tail; /* the last bytes, at most twice SST_TAIL_SIZE_MAX */
};

class WritableFile : public rocksdb::FSWritableFile
{
  public:
    WritableFile(struct env_file *file, write_state *state) : file_(file), state_(state)
    {
    }
    ~WritableFile() override
    {
        close();
    }
    using FSWritableFile::Append;
    IOStatus Append(const rocksdb::Slice &data, const IOOptions &, IODebugContext *) override
    {
        if (state_->err != ERR_OK || file_ == nullptr)
            return IOStatus::OK();
        state_->err = sst_file_write(file_, state_->size_bytes, data.data(), data.size());
        if (state_->err != ERR_OK)
            return IOStatus::OK();
        state_->size_bytes += data.size();
        state_->crc = crc32c(state_->crc, data.data(), data.size());
        keep_tail(data);
        return IOStatus::OK();
    }
    IOStatus Close(const IOOptions &, IODebugContext *) override
    {
        close();
        return IOStatus::OK();
    }
    IOStatus Flush(const IOOptions &, IODebugContext *) override
    {
        return IOStatus::OK();
    }
    IOStatus Sync(const IOOptions &, IODebugContext *) override
    {
        if (state_->err == ERR_OK && file_ != nullptr)
            state_->err = sst_file_sync(file_);
        return IOStatus::OK();
    }
    uint64_t GetFileSize(const IOOptions &, IODebugContext *) override
    {
        return state_->size_bytes;
    }

  private:
    void keep_tail(const rocksdb::Slice &data)
    {
        const size_t kept = data.size() < TAIL_SIZE ? data.size() : TAIL_SIZE;

        state_->tail.append(data.data() + data.size() - kept, kept);
        if (state_->tail.size() > 2 * SST_TAIL_SIZE_MAX)
            state_->tail.erase(0, state_->tail.size() - SST_TAIL_SIZE_MAX);
    }
    void close()
    {
        if (file_ == nullptr)
            return;
        const enum err err = sst_file_close(file_);
        file_ = nullptr;
        if (state_->err == ERR_OK)
            state_->err = err;
    }

    struct env_file *file_;
    write_state *state_;
};

class RandomFile : public rocksdb::FSRandomAccessFile
{
  public:
    explicit RandomFile(struct env_file *file) : file_(file)
    {
    }
    ~RandomFile() override
    {
        (void)sst_file_close(file_); /* was only read: nothing can be lost */
    }
    IOStatus Read(uint64_t offset, size_t n, const IOOptions &, rocksdb::Slice *result,
                  char *scratch, IODebugContext *) const override
    {
        size_t got = 0;
        const enum err err = sst_file_read(file_, offset, scratch, n, &got);

        *result = rocksdb::Slice(scratch, err == ERR_OK ? got : 0);
        return io_status(err);
    }

  private:
    struct env_file *file_;
};

/* Only what tables need; the rest answers NotSupported. */
class FileSystem : public rocksdb::FileSystem
{
  public:
    FileSystem(struct env *env, write_state *state) : env_(env), state_(state)
    {
    }
    const char *Name() const override
    {
        return "narthex";
    }
    IOStatus NewRandomAccessFile(const std::string &path, const rocksdb::FileOptions &,
                                 std::unique_ptr<rocksdb::FSRandomAccessFile> *result,
                                 IODebugContext *) override
    {
        struct env_file *file;
        const enum err err = sst_file_open(env_, path.c_str(), &file);

        if (err == ERR_OK)
            result->reset(new RandomFile(file));
        return io_status(err);
    }
    IOStatus NewWritableFile(const std::string &path, const rocksdb::FileOptions &,
                             std::unique_ptr<rocksdb::FSWritableFile> *result,
                             IODebugContext *) override
    {
        struct env_file *file = nullptr;

        if (state_ == nullptr)
            return IOStatus::NotSupported();
        state_->err = sst_file_create(env_, path.c_str(), &file);
        if (state_->err != ERR_OK)
            return io_status(state_->err);
        result->reset(new WritableFile(file, state_));
        return IOStatus::OK();
    }
    IOStatus GetFileSize(const std::string &path, const IOOptions &, uint64_t *size,
                         IODebugContext *) override
    {
        struct env_file *file;
        enum err err = sst_file_open(env_, path.c_str(), &file);

        if (err == ERR_OK) {
            err = sst_file_size(file, size);
            (void)sst_file_close(file);
        }
        return io_status(err);
    }
    IOStatus NewSequentialFile(const std::string &, const rocksdb::FileOptions &,
                               std::unique_ptr<rocksdb::FSSequentialFile> *,
                               IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus NewDirectory(const std::string &, const IOOptions &,
                          std::unique_ptr<rocksdb::FSDirectory> *, IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus FileExists(const std::string &, const IOOptions &, IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus GetChildren(const std::string &, const IOOptions &, std::vector<std::string> *,
                         IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus DeleteFile(const std::string &, const IOOptions &, IODebugContext *) override
    {
        return IOStatus::OK(); /* the caller of sst_writer_finish removes what failed */
    }
    IOStatus CreateDir(const std::string &, const IOOptions &, IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus CreateDirIfMissing(const std::string &, const IOOptions &, IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus DeleteDir(const std::string &, const IOOptions &, IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus GetFileModificationTime(const std::string &, const IOOptions &, uint64_t *,
                                     IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus RenameFile(const std::string &, const std::string &, const IOOptions &,
                        IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus LockFile(const std::string &, const IOOptions &, rocksdb::FileLock **,
                      IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus UnlockFile(rocksdb::FileLock *, const IOOptions &, IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus GetTestDirectory(const IOOptions &, std::string *, IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }
    IOStatus GetAbsolutePath(const std::string &path, const IOOptions &, std::string *out,
                             IODebugContext *) override
    {
        *out = path;
        return IOStatus::OK();
    }
    IOStatus IsDirectory(const std::string &, const IOOptions &, bool *, IODebugContext *) override
    {
        return IOStatus::NotSupported();
    }

  private:
    struct env *env_;
    write_state *state_; /* of the one writer that this file system serves; null for readers */
};

rocksdb::Options table_options(rocksdb::Env *rocks_env, enum sst_profile profile,
                               const std::shared_ptr<rocksdb::Cache> &cache)
{
    rocksdb::Options options;
    rocksdb::BlockBasedTableOptions table;

    table.format_version = 5;
    table.checksum = rocksdb::kXXH3;
    table.block_size = profile == SST_INDEX ? INDEX_BLOCK_SIZE : DATA_BLOCK_SIZE;
    if (cache != nullptr) {
        table.block_cache = cache;
        table.cache_index_and_filter_blocks = true;
    } else {
        table.no_block_cache = true;
    }
    options.env = rocks_env;
    options.comparator = rocksdb::BytewiseComparator();
    options.compression = rocksdb::kZSTD;
    options.db_host_id = ""; /* files say nothing of the machine that wrote them */
    if (profile == SST_INDEX) {
        options.compression_opts.level = INDEX_LEVEL;
        options.compression_opts.max_dict_bytes = INDEX_DICT_SIZE;
        options.compression_opts.zstd_max_train_bytes = INDEX_DICT_SAMPLE_SIZE;
        options.compression_opts.max_dict_buffer_bytes = INDEX_DICT_BUFFER_SIZE;
    }
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

/* Runs fn; an exception becomes ERR_INTERNAL. Out of memory aborts, as everywhere. */
template <typename F> enum err guarded(struct err_info *info, F fn) noexcept
{
    try {
        return fn();
    } catch (const std::bad_alloc &) {
        ASSERT(!"out of memory");
        return ERR_INTERNAL;
    } catch (const std::exception &e) {
        return err_set(info, ERR_INTERNAL, "table library: %s", e.what());
    } catch (...) {
        return err_set(info, ERR_INTERNAL, "table library: unknown exception");
    }
}

enum err set_status(struct err_info *info, const char *path, const rocksdb::Status &status)
{
    const enum err err = status_err(status);

    if (err == ERR_OK)
        return ERR_OK;
    return err_set(info, err, "%s: %s", path, status.ToString().c_str());
}

/* The size and the tail of the file against the sum, before RocksDB parses anything of it. */
enum err check_tail(struct env_file *file, const char *path, const struct sst_sum *sum,
                    struct err_info *info)
{
    char tail[SST_TAIL_SIZE_MAX];
    const size_t tail_size = sum->size_bytes < sizeof(tail) ? sum->size_bytes : sizeof(tail);
    uint64_t size;
    size_t got;
    enum err err = sst_file_size(file, &size);

    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", path, err_text(err));
    if (size != sum->size_bytes)
        return err_set(info, ERR_CORRUPT, "%s: has %llu bytes, should have %llu", path,
                       (unsigned long long)size, (unsigned long long)sum->size_bytes);
    err = sst_file_read(file, size - tail_size, tail, tail_size, &got);
    if (err != ERR_OK)
        return err_set(info, err, "%s: %s", path, err_text(err));
    if (got != tail_size || crc32c(0, tail, tail_size) != sum->tail_crc)
        return err_set(info, ERR_CORRUPT, "%s: checksum of its tail does not match", path);
    return ERR_OK;
}

enum err check_whole(struct env_file *file, const char *path, const struct sst_sum *sum,
                     struct err_info *info)
{
    std::string chunk(VERIFY_READ_SIZE, '\0');
    uint64_t offset = 0;
    uint32_t crc = 0;
    size_t got;

    do {
        const enum err err = sst_file_read(file, offset, &chunk[0], chunk.size(), &got);

        if (err != ERR_OK)
            return err_set(info, err, "%s: %s", path, err_text(err));
        crc = crc32c(crc, chunk.data(), got);
        offset += got;
    } while (got == chunk.size());
    if (offset != sum->size_bytes || crc != sum->crc)
        return err_set(info, ERR_CORRUPT, "%s: checksum of the file does not match", path);
    return ERR_OK;
}

} // namespace

struct sst_door {
    struct env *env; /* borrowed */
    std::shared_ptr<rocksdb::Cache> cache;
    std::shared_ptr<rocksdb::Statistics> statistics; /* counts only, no times */
    std::shared_ptr<FileSystem> fs;
    std::unique_ptr<rocksdb::Env> rocks_env;
};

struct sst_writer {
    std::string path;
    write_state state;
    std::shared_ptr<FileSystem> fs;
    std::unique_ptr<rocksdb::Env> rocks_env;
    std::unique_ptr<rocksdb::SstFileWriter> writer; /* last: ends before what it uses */
    uint64_t key_count = 0;
};

struct sst_reader {
    std::string path;
    struct sst_door *door; /* borrowed */
    struct sst_sum sum;
    std::unique_ptr<rocksdb::SstFileReader> reader;
};

struct sst_iter {
    struct sst_reader *reader; /* borrowed */
    std::unique_ptr<rocksdb::Iterator> iter;
    enum err err; /* of an exception; RocksDB's own is in iter */
    struct err_info info;
};

struct sst_door *sst_door_new(struct env *env, struct sst_door_options options)
{
    struct sst_door *door = new sst_door;

    door->env = env;
    door->cache = rocksdb::NewLRUCache(options.cache_size_bytes);
    door->statistics = rocksdb::CreateDBStatistics();
    door->statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
    door->fs = std::make_shared<FileSystem>(env, nullptr);
    door->rocks_env = rocksdb::NewCompositeEnv(door->fs);
    return door;
}

void sst_door_free(struct sst_door *door)
{
    delete door;
}

struct sst_cache_stats sst_door_cache_stats(const struct sst_door *door)
{
    struct sst_cache_stats stats = {};

    stats.size_bytes = door->cache->GetUsage();
    stats.hits = door->statistics->getTickerCount(rocksdb::BLOCK_CACHE_HIT);
    stats.misses = door->statistics->getTickerCount(rocksdb::BLOCK_CACHE_MISS);
    return stats;
}

enum err sst_writer_open(struct sst_door *door, const char *path, enum sst_profile profile,
                         struct sst_writer **writer, struct err_info *info)
{
    return guarded(info, [&]() {
        std::unique_ptr<struct sst_writer> made(new struct sst_writer);

        made->path = path;
        made->fs = std::make_shared<FileSystem>(door->env, &made->state);
        made->rocks_env = rocksdb::NewCompositeEnv(made->fs);
        const rocksdb::Options options = table_options(made->rocks_env.get(), profile, nullptr);
        made->writer.reset(
            new rocksdb::SstFileWriter(rocksdb::EnvOptions(options), options, nullptr, false));
        const rocksdb::Status status = made->writer->Open(path);
        if (made->state.err != ERR_OK)
            return err_set(info, made->state.err, "%s: %s", path, err_text(made->state.err));
        if (!status.ok())
            return set_status(info, path, status);
        *writer = made.release();
        return ERR_OK;
    });
}

enum err sst_writer_add(struct sst_writer *writer, struct slice key, struct slice value,
                        struct err_info *info)
{
    return guarded(info, [&]() {
        const rocksdb::Status status = writer->writer->Put(to_rocks(key), to_rocks(value));

        ASSERT(!status.IsInvalidArgument()); /* keys out of order: the caller's mistake */
        writer->key_count++;
        if (writer->state.err != ERR_OK)
            return err_set(info, writer->state.err, "%s: %s", writer->path.c_str(),
                           err_text(writer->state.err));
        return set_status(info, writer->path.c_str(), status);
    });
}

enum err sst_writer_finish(struct sst_writer *writer, struct sst_sum *sum, struct err_info *info)
{
    std::unique_ptr<struct sst_writer> owned(writer);

    return guarded(info, [&]() {
        ASSERT(owned->key_count > 0);
        const rocksdb::Status status = owned->writer->Finish();
        const write_state &state = owned->state;
        if (state.err != ERR_OK)
            return err_set(info, state.err, "%s: %s", owned->path.c_str(), err_text(state.err));
        if (!status.ok())
            return set_status(info, owned->path.c_str(), status);
        const size_t tail_size = state.tail.size() < TAIL_SIZE ? state.tail.size() : TAIL_SIZE;
        *sum = {state.size_bytes, state.crc,
                crc32c(0, state.tail.data() + state.tail.size() - tail_size, tail_size)};
        return ERR_OK;
    });
}

void sst_writer_abort(struct sst_writer *writer)
{
    (void)guarded(nullptr, [&]() {
        delete writer;
        return ERR_OK;
    });
}

enum err sst_reader_open(struct sst_door *door, const char *path, const struct sst_sum *sum,
                         struct sst_reader **reader, struct err_info *info)
{
    return guarded(info, [&]() {
        struct env_file *file;
        enum err err = sst_file_open(door->env, path, &file);

        if (err != ERR_OK)
            return err_set(info, err, "%s: %s", path, err_text(err));
        err = check_tail(file, path, sum, info);
        (void)sst_file_close(file);
        if (err != ERR_OK)
            return err;
        std::unique_ptr<struct sst_reader> made(new struct sst_reader);
        made->path = path;
        made->door = door;
        made->sum = *sum;
        rocksdb::Options options = table_options(door->rocks_env.get(), SST_INDEX, door->cache);
        options.statistics = door->statistics;
        made->reader.reset(new rocksdb::SstFileReader(options));
        const rocksdb::Status status = made->reader->Open(path);
        if (!status.ok())
            return set_status(info, path, status);
        *reader = made.release();
        return ERR_OK;
    });
}

void sst_reader_close(struct sst_reader *reader)
{
    (void)guarded(nullptr, [&]() {
        delete reader;
        return ERR_OK;
    });
}

enum err sst_reader_verify(struct sst_reader *reader, struct err_info *info)
{
    return guarded(info, [&]() {
        const char *path = reader->path.c_str();
        struct env_file *file;
        enum err err = sst_file_open(reader->door->env, path, &file);

        if (err != ERR_OK)
            return err_set(info, err, "%s: %s", path, err_text(err));
        err = check_whole(file, path, &reader->sum, info);
        (void)sst_file_close(file);
        return err;
    });
}

struct sst_iter *sst_iter_new(struct sst_reader *reader)
{
    struct sst_iter *iter = new struct sst_iter();

    iter->reader = reader;
    iter->err = guarded(&iter->info, [&]() {
        iter->iter.reset(reader->reader->NewIterator(rocksdb::ReadOptions()));
        return ERR_OK;
    });
    return iter;
}

void sst_iter_free(struct sst_iter *iter)
{
    (void)guarded(nullptr, [&]() {
        delete iter;
        return ERR_OK;
    });
}

bool sst_iter_seek(struct sst_iter *iter, struct slice key)
{
    if (iter->err != ERR_OK)
        return false;
    iter->err = guarded(&iter->info, [&]() {
        iter->iter->Seek(to_rocks(key));
        return ERR_OK;
    });
    return iter->err == ERR_OK && iter->iter->Valid();
}

bool sst_iter_next(struct sst_iter *iter)
{
    if (iter->err != ERR_OK || !iter->iter->Valid())
        return false;
    iter->err = guarded(&iter->info, [&]() {
        iter->iter->Next();
        return ERR_OK;
    });
    return iter->err == ERR_OK && iter->iter->Valid();
}

struct slice sst_iter_key(const struct sst_iter *iter)
{
    return from_rocks(iter->iter->key());
}

struct slice sst_iter_value(const struct sst_iter *iter)
{
    return from_rocks(iter->iter->value());
}

enum err sst_iter_err(const struct sst_iter *iter, struct err_info *info)
{
    if (iter->err != ERR_OK)
        return err_set(info, iter->err, "%s", err_message(iter->err, &iter->info));
    return set_status(info, iter->reader->path.c_str(), iter->iter->status());
}
