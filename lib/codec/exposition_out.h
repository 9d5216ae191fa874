/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a server exposes of stored samples, in the text format 0.0.4 or in delimited protobuf
 * (io.prometheus.client.MetricFamily), as Prometheus's client library writes it.
 *
 *   negotiate -> init -> sample ... (a new family begins where name or kind change) -> finish
 *
 * Exponential histograms have a form in protobuf only; those with custom bounds are written as
 * classic ones. Names that the format of old cannot have are escaped as the reader asks.
 *
 * Ownership: borrows names for a call; the name of the family under way until the next one begins.
 * Threads: one at a time. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "model/histogram.h"
#include "model/labels.h"

enum exposition_escaping {
    EXPOSITION_UNDERSCORES, /* what is not allowed becomes _ */
    EXPOSITION_DOTS,        /* . becomes _dot_, _ becomes __ */
    EXPOSITION_VALUES,      /* U__ and code points, can be read back */
    EXPOSITION_UTF8,        /* as it is, quoted */
};

struct exposition_format {
    bool is_protobuf;
    enum exposition_escaping escaping;
};

/* What an Accept header asks for, of what there is; text with underscores if nothing fits. */
struct exposition_format exposition_negotiate(struct slice accept);
/* The Content-Type; for ever. */
const char *exposition_content_type(const struct exposition_format *format);

struct exposition_sample {
    struct slice name;
    const struct label *labels; /* without the name; in the order in which they are written */
    uint32_t label_count;
    int64_t t_ms;
    double v;
    const struct histogram *histogram; /* of floats; NULL: v counts */
};

/* The order of members is that of upstream's numbers. */
enum exposition_family {
    EXPOSITION_NO_FAMILY = 0,
    EXPOSITION_UNTYPED = 3,
    EXPOSITION_HISTOGRAM = 4,
    EXPOSITION_GAUGE_HISTOGRAM = 5,
};

struct exposition_out {
    struct exposition_format format;
    struct buf *out;    /* borrowed */
    struct buf message; /* protobuf: the family under way */
    enum exposition_family kind;
    struct slice name; /* of the family under way */
};

void exposition_out_init(struct exposition_out *exposition, const struct exposition_format *format,
                         struct buf *out);
/* false: it has no form in this format and is left out. */
bool exposition_out_sample(struct exposition_out *exposition,
                           const struct exposition_sample *sample);
/* Ends the last family. */
void exposition_out_finish(struct exposition_out *exposition);
void exposition_out_fini(struct exposition_out *exposition);
