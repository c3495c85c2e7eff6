/* What a GPU measures: one number a call, or a few. */
#include <time.h>

#include "state.h"

/* Without a clock's argument: one function, one number. */
#define READINGS(X)                                                                                \
    X(nvmlDeviceGetMinorNumber, minor)                                                             \
    X(nvmlDeviceGetBrand, brand)                                                                   \
    X(nvmlDeviceGetArchitecture, architecture)                                                     \
    X(nvmlDeviceGetPowerUsage, power)                                                              \
    X(nvmlDeviceGetPowerManagementLimit, power_limit)                                              \
    X(nvmlDeviceGetPowerManagementDefaultLimit, power_limit_default)                               \
    X(nvmlDeviceGetEnforcedPowerLimit, power_limit_enforced)                                       \
    X(nvmlDeviceGetFanSpeed, fan_speed)                                                            \
    X(nvmlDeviceGetPerformanceState, performance_state)                                            \
    X(nvmlDeviceGetPowerState, performance_state)                                                  \
    X(nvmlDeviceGetComputeMode, compute_mode)                                                      \
    X(nvmlDeviceGetPersistenceMode, persistence_mode)                                              \
    X(nvmlDeviceGetDisplayMode, display_mode)                                                      \
    X(nvmlDeviceGetDisplayActive, display_active)                                                  \
    X(nvmlDeviceGetPcieReplayCounter, pcie_replays)                                                \
    X(nvmlDeviceGetCurrPcieLinkGeneration, pcie_generation)                                        \
    X(nvmlDeviceGetMaxPcieLinkGeneration, pcie_generation_max)                                     \
    X(nvmlDeviceGetGpuMaxPcieLinkGeneration, pcie_generation_max_gpu)                              \
    X(nvmlDeviceGetCurrPcieLinkWidth, pcie_width)                                                  \
    X(nvmlDeviceGetMaxPcieLinkWidth, pcie_width_max)

#define WIDE_READINGS(X)                                                                           \
    X(nvmlDeviceGetTotalEnergyConsumption, energy)                                                 \
    X(nvmlDeviceGetCurrentClocksEventReasons, clock_event_reasons)                                 \
    X(nvmlDeviceGetCurrentClocksThrottleReasons, clock_event_reasons)                              \
    X(nvmlDeviceGetSupportedClocksEventReasons, clock_event_reasons_supported)                     \
    X(nvmlDeviceGetSupportedEventTypes, event_types)

static nvmlReturn_t read_u32(enum call call, nvmlDevice_t handle, int number, unsigned int *value)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(call, handle, &gpu);
    return result == NVML_SUCCESS ? leave(number_u32(&gpu->number[number], value)) : result;
}

static nvmlReturn_t read_u64(enum call call, nvmlDevice_t handle, int number,
                             unsigned long long *value)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(call, handle, &gpu);
    return result == NVML_SUCCESS ? leave(number_u64(&gpu->number[number], value)) : result;
}

/* Two numbers of which one may be an error: then all of the call is. */
static nvmlReturn_t read_pair(enum call call, nvmlDevice_t handle, int first, int second,
                              unsigned int *one, unsigned int *other)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(call, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = number_u32(&gpu->number[first], one);
    nvmlReturn_t second_result = number_u32(&gpu->number[second], other);
    return leave(result == NVML_SUCCESS ? second_result : result);
}

#define X(function, number)                                                                        \
    nvmlReturn_t function(nvmlDevice_t handle, unsigned int *value)                                \
    {                                                                                              \
        return read_u32(CALL_##function, handle, N_##number, value);                               \
    }
READINGS(X)
#undef X

#define X(function, number)                                                                        \
    nvmlReturn_t function(nvmlDevice_t handle, unsigned long long *value)                          \
    {                                                                                              \
        return read_u64(CALL_##function, handle, N_##number, value);                               \
    }
WIDE_READINGS(X)
#undef X

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t handle, unsigned int *min,
                                                          unsigned int *max)
{
    return read_pair(CALL_nvmlDeviceGetPowerManagementLimitConstraints, handle, N_power_limit_min,
                     N_power_limit_max, min, max);
}

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t handle, unsigned int *current, unsigned int *pending)
{
    return read_pair(CALL_nvmlDeviceGetEccMode, handle, N_ecc_mode, N_ecc_mode_pending, current,
                     pending);
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t handle, unsigned int *current, unsigned int *pending)
{
    return read_pair(CALL_nvmlDeviceGetMigMode, handle, N_mig_mode, N_mig_mode_pending, current,
                     pending);
}

/* A GPU cut into MIG devices has no utilization as a whole. */
static nvmlReturn_t read_utilization(enum call call, nvmlDevice_t handle, int first, int second,
                                     unsigned int *one, unsigned int *other)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(call, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = gpu->number[N_mig_mode].base != 0 ? NVML_ERROR_NOT_SUPPORTED
                                               : number_u32(&gpu->number[first], one);
    if (result == NVML_SUCCESS && second >= 0)
        result = number_u32(&gpu->number[second], other);
    return leave(result);
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t handle, nvmlUtilization_t *rates)
{
    return read_utilization(CALL_nvmlDeviceGetUtilizationRates, handle, N_utilization,
                            N_memory_utilization, &rates->gpu, &rates->memory);
}

enum { SAMPLING_MICROSECONDS = 167000 };

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t handle, unsigned int *percent,
                                             unsigned int *period)
{
    *period = SAMPLING_MICROSECONDS;
    return read_utilization(CALL_nvmlDeviceGetEncoderUtilization, handle, N_encoder_utilization, -1,
                            percent, NULL);
}

nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t handle, unsigned int *percent,
                                             unsigned int *period)
{
    *period = SAMPLING_MICROSECONDS;
    return read_utilization(CALL_nvmlDeviceGetDecoderUtilization, handle, N_decoder_utilization, -1,
                            percent, NULL);
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t handle, unsigned int sensor, unsigned int *celsius)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetTemperature, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    return leave(sensor == 0 ? number_u32(&gpu->number[N_temperature], celsius)
                             : NVML_ERROR_INVALID_ARGUMENT);
}

static nvmlReturn_t signed_number(const struct number *number, int *value)
{
    unsigned int bits;
    nvmlReturn_t result = number_u32(number, &bits);
    *value = (int)bits;
    return result;
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t handle, nvmlTemperature_t *temperature)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetTemperatureV, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    if (temperature->version != NVML_TEMPERATURE_V1)
        return leave(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    if (temperature->sensorType != 0)
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    return leave(signed_number(&gpu->number[N_temperature], &temperature->temperature));
}

nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t handle, nvmlMarginTemperature_t *margin)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetMarginTemperature, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    if (margin->version != NVML_MARGIN_TEMPERATURE_V1)
        return leave(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    return leave(signed_number(&gpu->number[N_temperature_margin], &margin->marginTemperature));
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t handle, unsigned int threshold,
                                               unsigned int *celsius)
{
    static const int numbers[] = {N_threshold_shutdown, N_threshold_slowdown,
                                  N_threshold_memory_max, N_threshold_gpu_max};
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetTemperatureThreshold, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    if (threshold >= sizeof numbers / sizeof *numbers)
        return leave(NVML_ERROR_NOT_SUPPORTED);
    return leave(number_u32(&gpu->number[numbers[threshold]], celsius));
}

static nvmlReturn_t read_clock(enum call call, nvmlDevice_t handle, unsigned int clock,
                               const int *numbers, unsigned int *megahertz)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(call, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    return leave(clock < NVML_CLOCK_COUNT ? number_u32(&gpu->number[numbers[clock]], megahertz)
                                          : NVML_ERROR_INVALID_ARGUMENT);
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t handle, unsigned int clock, unsigned int *megahertz)
{
    static const int numbers[] = {N_clock_graphics, N_clock_sm, N_clock_memory, N_clock_video};
    return read_clock(CALL_nvmlDeviceGetClockInfo, handle, clock, numbers, megahertz);
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t handle, unsigned int clock,
                                       unsigned int *megahertz)
{
    static const int numbers[] = {N_clock_max_graphics, N_clock_max_sm, N_clock_max_memory,
                                  N_clock_max_video};
    return read_clock(CALL_nvmlDeviceGetMaxClockInfo, handle, clock, numbers, megahertz);
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t handle, unsigned int type,
                                         unsigned int counter, unsigned long long *errors)
{
    static const int numbers[][2] = {{N_ecc_corrected_volatile, N_ecc_corrected_aggregate},
                                     {N_ecc_uncorrected_volatile, N_ecc_uncorrected_aggregate}};
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetTotalEccErrors, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    if (type > 1 || counter > 1)
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    if (gpu->number[N_ecc_mode].error != NVML_SUCCESS || gpu->number[N_ecc_mode].base == 0)
        return leave(NVML_ERROR_NOT_SUPPORTED);
    return leave(number_u64(&gpu->number[numbers[type][counter]], errors));
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t handle, unsigned int *correctable,
                                       unsigned int *uncorrectable, unsigned int *pending,
                                       unsigned int *failure)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlDeviceGetRemappedRows, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = number_u32(&gpu->number[N_remapped_correctable], correctable);
    number_u32(&gpu->number[N_remapped_uncorrectable], uncorrectable);
    number_u32(&gpu->number[N_remapped_pending], pending);
    number_u32(&gpu->number[N_remapped_failure], failure);
    return leave(result);
}

/* The real one measures while the caller waits. */
nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t handle, unsigned int counter,
                                         unsigned int *kibibytes_per_second)
{
    int number = counter == 0 ? N_pcie_transmit : N_pcie_receive;
    nvmlReturn_t result = read_u32(CALL_nvmlDeviceGetPcieThroughput, handle, number,
                                   kibibytes_per_second);
    if (result == NVML_SUCCESS)
        nanosleep(&(struct timespec){0, 20 * 1000 * 1000}, NULL);
    return result;
}
