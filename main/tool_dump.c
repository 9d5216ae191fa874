/* SPDX-License-Identifier: Apache-2.0 */

/* `narthex tsdb dump`: a line a sample, as promtool writes them:
 *   {__name__="up", job="node"} 1 1700000000000 */

#include <stdio.h>

#include "base/number.h"
#include "main/tool_tsdb_internal.h"
#include "main/tool_walk.h"
#include "model/histogram_text.h"

enum { FLUSH_SIZE = 1 << 16, TEXT_MAX = 256 << 20 };

struct dump {
    struct buf labels, out;
};

static enum err write_out(struct dump *dump, struct err_info *info)
{
    if (dump->out.err != ERR_OK)
        return err_set(info, dump->out.err, "a line is too long");
    if (fwrite(dump->out.data, 1, dump->out.len, stdout) != dump->out.len)
        return err_set(info, ERR_IO, "writing to standard output failed");
    buf_reset(&dump->out);
    return ERR_OK;
}

static void print_sample(struct dump *dump, const struct sample_columns *columns, uint32_t at)
{
    buf_add_slice(&dump->out, buf_slice(&dump->labels));
    buf_add_byte(&dump->out, ' ');
    if (columns->kind == SAMPLE_FLOAT)
        number_add_double(&dump->out, columns->v[at], NUMBER_G);
    else
        histogram_text_print(&dump->out, columns->histograms[at]);
    buf_add_byte(&dump->out, ' ');
    number_add_int64(&dump->out, columns->t_ms[at]);
    buf_add_byte(&dump->out, '\n');
}

static enum err dump_series(void *owner, struct label_set labels, struct sample_cursor *cursor,
                            struct err_info *info)
{
    struct dump *dump = owner;
    struct sample_columns columns;

    buf_reset(&dump->labels);
    label_set_print_plain(&dump->labels, labels);
    while (sample_cursor_next(cursor, &columns)) {
        for (uint32_t i = 0; i < columns.count; i++)
            print_sample(dump, &columns, i);
        if (dump->out.len >= FLUSH_SIZE) {
            const enum err err = write_out(dump, info);

            if (err != ERR_OK)
                return err;
        }
    }
    return ERR_OK; /* the walk looks at the cursor's error */
}

enum err tool_tsdb_dump(struct tool_tsdb *tool, struct err_info *info)
{
    struct dump dump;
    struct tool_walk walk = tool_select_walk(&tool->select, db_source(tool->store.db));

    walk.fn = dump_series;
    walk.owner = &dump;
    buf_init(&dump.labels, TEXT_MAX);
    buf_init(&dump.out, TEXT_MAX);
    enum err err = tool_walk(&walk, info);
    if (err == ERR_OK)
        err = write_out(&dump, info);
    if (err == ERR_OK && fflush(stdout) != 0)
        err = err_set(info, ERR_IO, "writing to standard output failed");
    buf_fini(&dump.out);
    buf_fini(&dump.labels);
    return err;
}
