/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the process itself, read from /proc/self when scraped. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/metric.h"
#include "base/number.h"

enum { METRIC_STAT_SIZE = 1024, METRIC_STAT_VSIZE = 20, METRIC_STAT_START = 19 };

static double metric_read_cpu(const void *metrics)
{
    struct rusage usage;

    (void)metrics;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The content of a small file below /proc/self. */
static struct slice metric_read_proc(const char *path, char *data, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len;

    if (fd < 0)
        return (struct slice){NULL, 0};
    len = read(fd, data, size);
    close(fd);
    return slice_of(data, len < 0 ? 0 : (size_t)len);
}

/* The n-th number (from 0) of space-separated text; 0 if there is none. */
static double metric_nth_number(struct slice text, unsigned n)
{
    double v = 0;

    for (unsigned i = 0; text.len > 0; i++) {
        const char *space = memchr(text.data, ' ', text.len);
        const size_t len = space == NULL ? text.len : (size_t)(space - text.data);

        if (i == n) {
            if (number_parse_double_decimal((struct slice){text.data, len}, &v) != ERR_OK)
                v = 0;
            break;
        }
        text = slice_skip(text, space == NULL ? len : len + 1);
    }
    return v;
}

/* A field of /proc/self/stat, counted from 0 behind the command's name and its closing bracket. */
static double metric_read_stat(unsigned field)
{
    char data[METRIC_STAT_SIZE];
    const struct slice text = metric_read_proc("/proc/self/stat", data, sizeof(data));
    const char *bracket = text.len == 0 ? NULL : memrchr(text.data, ')', text.len);

    if (bracket == NULL || (size_t)(bracket - text.data) + 2 > text.len)
        return 0;
    return metric_nth_number(slice_skip(text, (size_t)(bracket - text.data) + 2), field);
}

static double metric_read_resident(const void *metrics)
{
    char data[METRIC_STAT_SIZE];

    (void)metrics;
    return metric_nth_number(metric_read_proc("/proc/self/statm", data, sizeof(data)), 1) *
           (double)sysconf(_SC_PAGESIZE);
}

static double metric_read_virtual(const void *metrics)
{
    (void)metrics;
    return metric_read_stat(METRIC_STAT_VSIZE);
}

/* Ticks since boot and the boot's time, which clocks tell without parsing /proc/stat. */
static double metric_read_start(const void *metrics)
{
    struct timespec wall, boot;
    const double ticks = metric_read_stat(METRIC_STAT_START);

    (void)metrics;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9 +
           ticks / (double)sysconf(_SC_CLK_TCK);
}

static double metric_start_seconds;

static void metric_start_once(void)
{
    metric_start_seconds = metric_read_start(NULL);
}

/* Computed once, so that it does not flicker with the two clocks. */
static double metric_read_start_time(const void *metrics)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)metrics;
    pthread_once(&once, metric_start_once);
    return metric_start_seconds;
}

static double metric_read_open_fds(const void *metrics)
{
    DIR *dir = opendir("/proc/self/fd");
    double count = -3; /* ".", ".." and the directory itself */

    (void)metrics;
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static double metric_read_max_fds(const void *metrics)
{
    struct rlimit limit;

    (void)metrics;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

static double metric_read_threads(const void *metrics)
{
    (void)metrics;
    return metric_read_stat(17);
}

static const struct metric_desc metric_process_descs[] = {
    {"process_cpu_seconds_total", METRIC_COUNTER_FN, .read = metric_read_cpu,
     .help = "Total user and system CPU time spent in seconds."},
    {"process_resident_memory_bytes", METRIC_GAUGE_FN, .read = metric_read_resident,
     .help = "Resident memory size in bytes."},
    {"process_virtual_memory_bytes", METRIC_GAUGE_FN, .read = metric_read_virtual,
     .help = "Virtual memory size in bytes."},
    {"process_start_time_seconds", METRIC_GAUGE_FN, .read = metric_read_start_time,
     .help = "Start time of the process since unix epoch in seconds."},
    {"process_open_fds", METRIC_GAUGE_FN, .read = metric_read_open_fds,
     .help = "Number of open file descriptors."},
    {"process_max_fds", METRIC_GAUGE_FN, .read = metric_read_max_fds,
     .help = "Maximum number of open file descriptors."},
    {"process_threads", METRIC_GAUGE_FN, .read = metric_read_threads,
     .help = "Number of threads of the process."},
};

void metric_register_process(struct metric_registry *registry)
{
    static char process; /* stands for the struct, of which there is none */

    metric_register(registry, metric_process_descs, COUNT_OF(metric_process_descs), &process);
}
