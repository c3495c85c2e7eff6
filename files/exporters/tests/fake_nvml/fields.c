/* Field values, and the NVLinks that most of them tell about. */
#include <time.h>

#include "state.h"

enum { ALL_LINKS = 0xFFFFFFFF, SCOPES = 3 };

/* Fields of the GPU as a whole: id, number, 64 bits or 32. */
static const struct field {
    unsigned int id;
    int number;
    bool wide;
} fields[] = {
    {74, N_throttle_power_cap, true},
    {76, N_throttle_sync_boost, true},
    {82, N_memory_temperature, false},
    {83, N_energy, true},
    {90, N_nvlink_speed, false},
    {91, N_nvlinks, false},
    {94, N_pcie_replays, false},
    {142, N_remapped_correctable, false},
    {143, N_remapped_uncorrectable, false},
    {144, N_remapped_pending, false},
    {145, N_remapped_failure, false},
    {187, N_power_limit_min, false},
    {188, N_power_limit_max, false},
    {189, N_power_limit_default, false},
    {190, N_power_limit_enforced, false},
    {191, N_energy, true},
    {192, N_power_limit, false},
    {230, N_recovery_action, false},
    {269, N_throttle_sw_thermal, true},
    {270, N_throttle_hw_thermal, true},
    {271, N_throttle_power_brake, true},
};

/* Fields whose scope is a part of the board: the GPU, the module, the memory. */
static const struct {
    unsigned int id;
    int numbers[SCOPES];
} scoped[] = {
    {185, {N_power_average, N_module_power_average, N_memory_power_average}},
    {186, {N_power_instant, N_module_power_instant, N_memory_power_instant}},
};

/* Fields whose scope is a link; of traffic, all links together are a scope, too. */
static const struct {
    unsigned int id;
    int number;
    bool summable;
} of_links[] = {
    {138, L_transmit, true}, {139, L_receive, true},     {161, L_replays, false},
    {162, L_recoveries, false}, {163, L_crc_errors, false}, {165, L_field_state, false},
};

static unsigned int links_of(const struct gpu *gpu)
{
    unsigned int links;
    nvmlReturn_t result = number_u32(&gpu->number[N_nvlinks], &links);
    if (result != NVML_SUCCESS)
        return 0;
    return links < MAX_LINKS ? links : MAX_LINKS;
}

static nvmlReturn_t read_link(const struct gpu *gpu, unsigned int link, int number,
                              unsigned long long *value)
{
    unsigned int links = links_of(gpu);
    if (links == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    if (link >= links)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (number == L_field_state && gpu->link[link][number].automatic)
        number = L_active;
    return number_u64(&gpu->link[link][number], value);
}

static nvmlReturn_t sum_links(const struct gpu *gpu, int number, unsigned long long *sum)
{
    unsigned int links = links_of(gpu);
    nvmlReturn_t result = links == 0 ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
    *sum = 0;
    for (unsigned int link = 0; link < links && result == NVML_SUCCESS; link++) {
        unsigned long long value;
        result = number_u64(&gpu->link[link][number], &value);
        *sum += value;
    }
    return result;
}

static nvmlReturn_t give_number(const struct number *number, bool wide, nvmlFieldValue_t *field)
{
    field->valueType = wide ? NVML_VALUE_UNSIGNED_LONG_LONG : NVML_VALUE_UNSIGNED_INT;
    return wide ? number_u64(number, &field->value.ullVal) : number_u32(number, &field->value.uiVal);
}

static nvmlReturn_t read_field(const struct gpu *gpu, nvmlFieldValue_t *field)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].id == field->fieldId)
            return give_number(&gpu->number[fields[i].number], fields[i].wide, field);
    for (size_t i = 0; i < sizeof scoped / sizeof *scoped; i++)
        if (scoped[i].id == field->fieldId)
            return field->scopeId < SCOPES
                       ? give_number(&gpu->number[scoped[i].numbers[field->scopeId]], false, field)
                       : NVML_ERROR_INVALID_ARGUMENT;
    field->valueType = NVML_VALUE_UNSIGNED_LONG_LONG;
    for (size_t i = 0; i < sizeof of_links / sizeof *of_links; i++)
        if (of_links[i].id == field->fieldId)
            return of_links[i].summable && field->scopeId == ALL_LINKS
                       ? sum_links(gpu, of_links[i].number, &field->value.ullVal)
                       : read_link(gpu, field->scopeId, of_links[i].number, &field->value.ullVal);
    return NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t handle, int count, nvmlFieldValue_t *values)
{
    struct gpu *gpu;
    struct timespec now;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetFieldValues, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < count; i++) {
        values[i].timestamp = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
        values[i].latencyUsec = 0;
        values[i].nvmlReturn = read_field(gpu, &values[i]);
    }
    return leave(count > 0 ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t handle, unsigned int link, unsigned int *active)
{
    struct gpu *gpu;
    unsigned long long value = 0;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetNvLinkState, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = read_link(gpu, link, L_active, &value);
    *active = (unsigned int)value;
    return leave(result);
}
