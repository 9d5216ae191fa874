/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int http_status;
    const char *text;
} err_table[] = {
#define XX(name, status, text) {status, text},
    ERR_LIST(XX)
#undef XX
};

void assert_failed(const char *cond, const char *file, int line)
{
    void *frames[64];

    fprintf(stderr, "assertion failed: %s at %s:%d\n", cond, file, line);
    fflush(stderr);
    backtrace_symbols_fd(frames, backtrace(frames, (int)COUNT_OF(frames)), STDERR_FILENO);
    abort();
}

const char *err_text(enum err err)
{
    ASSERT((size_t)err < COUNT_OF(err_table));
    return err_table[err].text;
}

int err_http_status(enum err err)
{
    ASSERT((size_t)err < COUNT_OF(err_table));
    return err_table[err].http_status;
}

enum err err_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return ERR_OK;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case ECANCELED:
        return ERR_CANCELLED;
    case ETIMEDOUT:
        return ERR_DEADLINE;
    case ECONNREFUSED:
        return ERR_REFUSED;
    default:
        return ERR_IO;
    }
}

/* Marks a text that did not fit. */
static void err_mark_cut(char *message)
{
    memcpy(message + ERR_MESSAGE_SIZE - 4, "...", 4);
}

enum err err_set(struct err_info *info, enum err err, const char *format, ...)
{
    va_list args;
    int len;

    if (info == NULL || info->message[0] != '\0')
        return err;
    va_start(args, format);
    len = vsnprintf(info->message, ERR_MESSAGE_SIZE, format, args);
    va_end(args);
    if (len >= ERR_MESSAGE_SIZE)
        err_mark_cut(info->message);
    return err;
}

void err_prefix(struct err_info *info, const char *format, ...)
{
    char old[ERR_MESSAGE_SIZE];
    va_list args;
    int len;

    if (info == NULL)
        return;
    memcpy(old, info->message, sizeof(old));
    va_start(args, format);
    len = vsnprintf(info->message, ERR_MESSAGE_SIZE, format, args);
    va_end(args);
    if (len >= 0 && len < ERR_MESSAGE_SIZE)
        len += snprintf(info->message + len, (size_t)(ERR_MESSAGE_SIZE - len), ": %s", old);
    if (len >= ERR_MESSAGE_SIZE)
        err_mark_cut(info->message);
}

const char *err_message(enum err err, const struct err_info *info)
{
    if (info != NULL && info->message[0] != '\0')
        return info->message;
    return err_text(err);
}
