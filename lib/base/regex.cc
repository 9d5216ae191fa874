/* SPDX-License-Identifier: Apache-2.0 */
/* Two ways to match: a pattern that is nothing but literals, groups and alternation becomes a
 * sorted set of texts and never meets RE2; everything else is compiled. A set with capturing groups
 * is compiled too, for the captures. */
#include "base/regex.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <re2/re2.h>

#include "base/utf8.h"

struct regex {
    std::string pattern;
    std::unique_ptr<RE2> re; /* NULL for a set without groups */
    bool is_set = false;
    std::vector<std::string> texts; /* of a set, sorted */
    std::vector<struct slice> views;
    std::string prefix;
    uint32_t group_count = 0;
    bool matches_empty = false;
};

namespace
{

enum {
    LITERAL_TEXTS_MAX = 1 << 17,
    LITERAL_DEPTH_MAX = 16,
    LITERAL_PRODUCT_MAX = 1 << 10, /* texts that two groups in a row may multiply to */
    LITERAL_WORK_MAX = 16 << 20,   /* bytes written while texts grow */
};

struct slice view_of(const std::string &text)
{
    return slice_of(text.data(), text.size());
}

bool is_meta(char c)
{
    return std::string(".+*?^$[]{}").find(c) != std::string::npos;
}

bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Reads an alternation of sequences of literals and groups into the list of texts it stands for;
 * gives up (valid = false) at anything else, or when the list grows too long. */
struct literal_reader {
    const std::string &pattern;
    size_t at = 0;
    bool valid = true;
    uint32_t groups = 0;
    size_t work = 0;

    explicit literal_reader(const std::string &p) : pattern(p)
    {
    }

    bool done() const
    {
        return at == pattern.size();
    }

    /* An escaped literal: punctuation only. Everything else (\d, \x41, \n) is left to RE2. */
    bool read_escape(std::string &out)
    {
        if (at + 1 >= pattern.size() || is_word(pattern[at + 1]) ||
            (unsigned char)pattern[at + 1] >= 0x80)
            return false;
        out.push_back(pattern[at + 1]);
        at += 2;
        return true;
    }

    bool open_group()
    {
        at++;
        if (pattern.compare(at, 2, "?:") == 0) {
            at += 2;
            return true;
        }
        groups++;
        return at < pattern.size() && pattern[at] != '?';
    }

    std::vector<std::string> product(const std::vector<std::string> &left,
                                     const std::vector<std::string> &right)
    {
        std::vector<std::string> all;

        if (left.size() * right.size() > LITERAL_PRODUCT_MAX && left.size() != 1) {
            valid = false;
            return all;
        }
        all.reserve(left.size() * right.size());
        for (const auto &a : left) {
            for (const auto &b : right)
                all.push_back(a + b);
        }
        for (const auto &text : all)
            work += text.size();
        valid = valid && work <= LITERAL_WORK_MAX;
        return all;
    }

    std::vector<std::string> sequence(int depth)
    {
        std::vector<std::string> texts(1);

        while (valid && !done() && pattern[at] != '|' && pattern[at] != ')') {
            std::string literal;

            if (pattern[at] == '(') {
                if (depth == LITERAL_DEPTH_MAX || !open_group()) {
                    valid = false;
                    break;
                }
                const auto inner = alternation(depth + 1);
                if (!valid || done() || pattern[at] != ')') {
                    valid = false;
                    break;
                }
                at++;
                texts = product(texts, inner);
                continue;
            }
            if (pattern[at] == '\\')
                valid = read_escape(literal);
            else if (is_meta(pattern[at]))
                valid = false;
            else
                literal.push_back(pattern[at++]);
            if (valid && !done() && std::string("*+?{").find(pattern[at]) != std::string::npos)
                valid = false;
            for (auto &text : texts)
                text += literal;
            work += texts.size();
            valid = valid && work <= LITERAL_WORK_MAX;
        }
        if (valid && !done() && std::string("*+?{").find(pattern[at]) != std::string::npos)
            valid = false;
        return texts;
    }

    std::vector<std::string> alternation(int depth)
    {
        std::vector<std::string> all = sequence(depth);

        while (valid && !done() && pattern[at] == '|') {
            at++;
            auto more = sequence(depth);
            all.insert(all.end(), std::make_move_iterator(more.begin()),
                       std::make_move_iterator(more.end()));
            valid = valid && all.size() <= LITERAL_TEXTS_MAX;
        }
        return all;
    }

    std::vector<std::string> read()
    {
        auto texts = alternation(0);

        valid = valid && done();
        return texts;
    }
};

/* Whether what follows a "(?" is flags and a closing parenthesis. */
bool is_flags_alone(const std::string &pattern, size_t at)
{
    const size_t end = pattern.find_first_of(":)P<", at);

    return end != std::string::npos && pattern[end] == ')';
}

/* Literals at the start of a pattern that has no alternation at its top. */
std::string prefix_of(const std::string &pattern)
{
    std::string prefix;
    size_t at = 0;
    int depth = 0;

    for (size_t i = 0; i < pattern.size(); i++) {
        if (pattern[i] == '\\' && i + 1 < pattern.size() && pattern[i + 1] == 'Q')
            return ""; /* quoted runs are not understood here */
        if (pattern[i] == '\\')
            i++;
        else if (pattern.compare(i, 2, "(?") == 0 && is_flags_alone(pattern, i + 2))
            return ""; /* it stands for nothing: a repetition after it is of what is before it */
        else if (pattern[i] == '[' || pattern.compare(i, 2, "(?") == 0)
            depth += 1000; /* a class may hold any sign, flags may fold case: look no further */
        else if (pattern[i] == '|' && depth < 1000)
            return "";
    }
    if (depth >= 1000 && pattern.find('|') != std::string::npos)
        return "";
    while (at < pattern.size()) {
        char c = pattern[at];
        size_t len = 1;

        if (c == '(' || c == ')' || c == '|' || is_meta(c))
            break;
        if (c == '\\') {
            if (at + 1 >= pattern.size() || is_word(pattern[at + 1]) ||
                (unsigned char)pattern[at + 1] >= 0x80)
                break;
            c = pattern[at + 1];
            len = 2;
        }
        const size_t next = at + len;
        if (next < pattern.size() && std::string("*?{").find(pattern[next]) != std::string::npos) {
            /* The literal before a repetition may be absent: with all bytes of its character. */
            while (!prefix.empty() && ((unsigned char)c & 0xc0) == 0x80) {
                c = prefix.back();
                prefix.pop_back();
            }
            break;
        }
        prefix.push_back(c);
        at = next;
    }
    return prefix;
}

/* RE2 of this age lacks Go's (?<name>re), and has \C, which Go lacks. */
bool rewrite(const std::string &pattern, std::string &out)
{
    bool in_class = false;

    for (size_t i = 0; i < pattern.size(); i++) {
        const char c = pattern[i];

        if (c == '\\' && i + 1 < pattern.size()) {
            if (pattern[i + 1] == 'C')
                return false;
            if (pattern[i + 1] == 'Q') { /* a quoted run is copied as it is */
                const size_t end = pattern.find("\\E", i + 2);
                const size_t stop = end == std::string::npos ? pattern.size() : end + 2;

                out.append(pattern, i, stop - i);
                i = stop - 1;
                continue;
            }
            out.append(pattern, i, 2);
            i++;
            continue;
        }
        if (c == '[' && !in_class) {
            in_class = true;
            out.push_back(c);
            /* A ] that comes first in a class is a literal. */
            if (i + 1 < pattern.size() && pattern[i + 1] == '^')
                out.push_back(pattern[++i]);
            if (i + 1 < pattern.size() && pattern[i + 1] == ']')
                out.push_back(pattern[++i]);
            continue;
        }
        if (in_class && pattern.compare(i, 2, "[:") == 0) {
            const size_t end = pattern.find(":]", i + 2);

            if (end != std::string::npos) {
                out.append(pattern, i, end + 2 - i);
                i = end + 1;
                continue;
            }
        }
        if (c == ']')
            in_class = false;
        out.push_back(c);
        if (c == '(' && !in_class && pattern.compare(i, 3, "(?<") == 0) {
            out.append("?P");
            i++;
        }
    }
    return true;
}

/* Go's words for RE2's codes. */
const char *error_text(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "internal error";
    }
}

enum err compile(struct regex *regex, struct err_info *info)
{
    RE2::Options options;
    std::string text;

    options.set_log_errors(false);
    options.set_dot_nl(true);
    options.set_max_mem(REGEX_PROGRAM_SIZE_MAX);
    if (!rewrite(regex->pattern, text))
        return err_set(info, ERR_BAD_INPUT, "error parsing regexp: invalid escape sequence: `\\C`");
    regex->re.reset(new RE2(text, options));
    if (!regex->re->ok()) {
        const bool large = regex->re->error_code() == RE2::ErrorPatternTooLarge;
        const std::string &argument = regex->re->error_arg();

        return err_set(info, large ? ERR_LIMIT : ERR_BAD_INPUT, "error parsing regexp: %s: `%.*s`",
                       error_text(regex->re->error_code()), SLICE_ARG(view_of(argument)));
    }
    if (regex->re->NumberOfCapturingGroups() > REGEX_GROUP_MAX)
        return err_set(info, ERR_LIMIT, "regular expression has more than %d groups",
                       int(REGEX_GROUP_MAX));
    regex->group_count = uint32_t(regex->re->NumberOfCapturingGroups());
    return ERR_OK;
}

/* False: the pattern is no set. */
bool read_set(struct regex *regex)
{
    literal_reader reader(regex->pattern);
    std::vector<std::string> texts = reader.read();

    if (!reader.valid)
        return false;
    std::sort(texts.begin(), texts.end());
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
    regex->is_set = true;
    regex->texts = std::move(texts);
    regex->group_count = reader.groups;
    for (const auto &text : regex->texts)
        regex->views.push_back(view_of(text));
    return true;
}

bool set_has(const struct regex *regex, struct slice text)
{
    const auto found =
        std::lower_bound(regex->views.begin(), regex->views.end(), text,
                         [](struct slice a, struct slice b) { return slice_cmp(a, b) < 0; });

    return found != regex->views.end() && slice_eq(*found, text);
}

/* Bytes of the first character if it may stand in a group's name, else 0. */
size_t name_rune_size(struct slice s)
{
    uint32_t rune;
    const size_t len = utf8_decode(s, &rune);

    return rune == '_' || utf8_is_alnum(rune) ? len : 0;
}

/* The group number of a name or number in a replacement; -1: none such. */
int group_of(const struct regex *regex, const std::string &name)
{
    int number = 0;

    for (const char c : name) {
        if (c < '0' || c > '9' || number > REGEX_GROUP_MAX)
            number = -1;
        if (number < 0)
            break;
        number = number * 10 + (c - '0');
    }
    if (name.size() > 1 && name[0] == '0')
        number = -1; /* Go takes no leading zeros */
    if (number >= 0)
        return number <= int(regex->group_count) ? number : -1;
    if (!regex->re)
        return -1;
    const auto &names = regex->re->NamedCapturingGroups();
    const auto found = names.find(name);
    return found == names.end() ? -1 : found->second;
}

} // namespace

enum err regex_new(struct slice pattern, struct regex **out, struct err_info *info)
{
    if (pattern.len > REGEX_PATTERN_SIZE_MAX)
        return err_set(info, ERR_LIMIT, "regular expression of %zu bytes exceeds the limit of %d",
                       pattern.len, int(REGEX_PATTERN_SIZE_MAX));
    if (!utf8_is_valid(pattern))
        return err_set(info, ERR_BAD_INPUT, "error parsing regexp: invalid UTF-8");
    std::unique_ptr<struct regex> regex(new struct regex);
    if (pattern.len > 0)
        regex->pattern.assign(pattern.data, pattern.len);
    const bool is_set = read_set(regex.get());
    if (!is_set || regex->group_count > 0) {
        const enum err err = compile(regex.get(), info);

        if (err != ERR_OK)
            return err;
    }
    if (!is_set)
        regex->prefix = prefix_of(regex->pattern);
    else if (regex->texts.size() == 1)
        regex->prefix = regex->texts[0];
    regex->matches_empty = regex_match(regex.get(), slice_of("", 0));
    *out = regex.release();
    return ERR_OK;
}

void regex_free(struct regex *regex)
{
    delete regex;
}

struct slice regex_pattern(const struct regex *regex)
{
    return view_of(regex->pattern);
}

bool regex_match(const struct regex *regex, struct slice text)
{
    if (regex->is_set)
        return set_has(regex, text);
    if (!slice_has_prefix(text, view_of(regex->prefix)))
        return false;
    return regex->re->Match(re2::StringPiece(text.data, text.len), 0, text.len, RE2::ANCHOR_BOTH,
                            nullptr, 0);
}

uint32_t regex_group_count(const struct regex *regex)
{
    return regex->group_count;
}

bool regex_capture(const struct regex *regex, struct slice text, struct slice *groups,
                   uint32_t count)
{
    re2::StringPiece found[REGEX_GROUP_MAX + 1];
    const uint32_t known = std::min(count, regex->group_count + 1);

    if (text.data == nullptr)
        text.data = ""; /* so that a group that matched nothing is not NULL */
    if (regex->is_set && !set_has(regex, text))
        return false;
    if (regex->re) {
        if (!regex->re->Match(re2::StringPiece(text.data, text.len), 0, text.len, RE2::ANCHOR_BOTH,
                              found, int(known)))
            return false;
    } else {
        found[0] = re2::StringPiece(text.data, text.len);
    }
    for (uint32_t i = 0; i < count; i++)
        groups[i] = i < known ? slice_of(found[i].data(), found[i].size()) : slice_of(nullptr, 0);
    return true;
}

void regex_expand(const struct regex *regex, struct slice replacement, const struct slice *groups,
                  struct buf *out)
{
    size_t at = 0;

    while (at < replacement.len) {
        const char *data = replacement.data;
        const void *found = std::memchr(data + at, '$', replacement.len - at);
        const size_t dollar =
            found == nullptr ? replacement.len : size_t((const char *)found - data);
        size_t name = dollar + 1, end;

        buf_add(out, data + at, dollar - at);
        if (dollar == replacement.len)
            return;
        const bool braced = name < replacement.len && data[name] == '{';
        if (name < replacement.len && data[name] == '$') {
            buf_add_byte(out, '$');
            at = name + 1;
            continue;
        }
        name += braced ? 1 : 0;
        end = name;
        for (size_t len = 1; end < replacement.len && len > 0; end += len)
            len = name_rune_size(slice_skip(replacement, end));
        if (end == name || (braced && (end == replacement.len || data[end] != '}'))) {
            buf_add_byte(out, '$'); /* no name: the dollar stands for itself */
            at = dollar + 1;
            continue;
        }
        const int group = group_of(regex, std::string(data + name, end - name));
        if (group >= 0)
            buf_add_slice(out, groups[group]);
        at = end + (braced ? 1 : 0);
    }
}

bool regex_literal_set(const struct regex *regex, const struct slice **texts, uint32_t *count)
{
    if (!regex->is_set)
        return false;
    *texts = regex->views.data();
    *count = uint32_t(regex->views.size());
    return true;
}

struct slice regex_prefix(const struct regex *regex)
{
    return view_of(regex->prefix);
}

bool regex_match_empty(const struct regex *regex)
{
    return regex->matches_empty;
}
