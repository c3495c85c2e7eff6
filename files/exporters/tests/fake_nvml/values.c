/* The values of the state file: numbers, texts, names of errors. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static const struct {
    const char *name;
    nvmlReturn_t value;
} returns[] = {
#define X(name, number, text) {#name, NVML_##name},
    NVML_RETURNS(X)
#undef X
};

bool parse_error(const char *text, nvmlReturn_t *error)
{
    for (size_t i = 0; i < sizeof returns / sizeof *returns; i++) {
        const char *name = returns[i].name;
        if (strcmp(name, text) == 0 || (strncmp(name, "ERROR_", 6) == 0 && strcmp(name + 6, text) == 0)) {
            *error = returns[i].value;
            return true;
        }
    }
    return false;
}

/* A number, perhaps with a binary unit; `text` moves to what follows it. */
static bool parse_amount(const char **text, double *amount)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    char *end;
    *amount = strtod(*text, &end);
    if (end == *text || !isfinite(*amount))
        return false;
    double factor = 1024;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++, factor *= 1024)
        if (strncmp(end, units[i], 3) == 0) {
            *amount *= factor;
            end += 3;
            break;
        }
    while (*end == ' ')
        end++;
    *text = end;
    return true;
}

bool parse_plain(const char *text, double *amount)
{
    return parse_amount(&text, amount) && *text == '\0';
}

bool parse_unsigned(const char *text, unsigned int *value)
{
    double amount;
    if (!parse_plain(text, &amount) || amount < 0 || amount > 4294967295.0)
        return false;
    *value = (unsigned int)amount;
    return true;
}

/* `BASE`, `BASE + RATE/s`, `auto`, `BASE + auto`, or the name of an error. */
bool parse_number(const char *text, double scale, struct number *number)
{
    struct number parsed = {0};
    if (parse_error(text, &parsed.error)) {
        *number = parsed;
        return true;
    }
    if (strcmp(text, "auto") != 0) {
        if (!parse_amount(&text, &parsed.base))
            return false;
        if (*text != '\0' && *text++ != '+')
            return false;
        while (*text == ' ')
            text++;
    }
    parsed.growing = *text != '\0';
    parsed.automatic = strcmp(text, "auto") == 0;
    if (parsed.growing && !parsed.automatic) {
        if (!parse_amount(&text, &parsed.rate) || parsed.rate < 0 || strcmp(text, "/s") != 0)
            return false;
    }
    parsed.base *= scale;
    parsed.rate *= scale;
    *number = parsed;
    return true;
}

/* Text as it stands, but for \n, \\ and \xNN: names need not be UTF-8, nor fit in one line. */
bool parse_text(const char *text, char *out, size_t room)
{
    size_t size = 0;
    for (; *text != '\0'; text++) {
        char byte = *text;
        if (byte == '\\' && text[1] == 'x' && isxdigit((unsigned char)text[2]) && isxdigit((unsigned char)text[3])) {
            byte = (char)strtol((char[]){text[2], text[3], '\0'}, NULL, 16);
            text += 3;
        } else if (byte == '\\' && (text[1] == 'n' || text[1] == '\\')) {
            byte = *++text == 'n' ? '\n' : '\\';
        }
        if (size + 1 >= room)
            return false;
        out[size++] = byte;
    }
    out[size] = '\0';
    return true;
}

/* Split `12.rest` or `*.rest`: the numbers it means, from *first to *last. */
bool parse_index(const char **key, unsigned int count, unsigned int *first, unsigned int *last)
{
    char *end;
    if (strncmp(*key, "*.", 2) == 0) {
        *first = 0;
        *last = count;
        *key += 2;
        return true;
    }
    unsigned long index = isdigit((unsigned char)**key) ? strtoul(*key, &end, 10) : count;
    if (index >= count || *end != '.')
        return false;
    *first = (unsigned int)index;
    *last = *first + 1;
    *key = end + 1;
    return true;
}
