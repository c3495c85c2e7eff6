/* GPU performance monitoring: ratios between two samples. */
#include "state.h"

enum { SAMPLES = 256 };

/* Closer samples have seen no counter move. */
static const double CLOSEST = 0.010;

/* A fixed pool: who never gives samples back is told soon. */
static struct gpm_sample {
    bool used, taken;
    unsigned int slot, mig;
    double time;
} samples[SAMPLES];

static bool known(nvmlGpmSample_t sample)
{
    return sample >= samples && sample < samples + SAMPLES && sample->used;
}

void gpm_forget(void)
{
    for (size_t i = 0; i < SAMPLES; i++)
        samples[i].used = false;
}

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t handle, nvmlGpmSupport_t *support)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlGpmQueryDeviceSupport, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    if (support->version != NVML_GPM_VERSION)
        return leave(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    return leave(number_u32(&gpu->number[N_gpm], &support->isSupportedDevice));
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *sample)
{
    nvmlReturn_t result = enter(CALL_nvmlGpmSampleAlloc);
    if (result != NVML_SUCCESS)
        return result;
    for (size_t i = 0; i < SAMPLES; i++)
        if (!samples[i].used) {
            samples[i] = (struct gpm_sample){.used = true};
            *sample = &samples[i];
            return leave(NVML_SUCCESS);
        }
    return leave(NVML_ERROR_MEMORY);
}

nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t sample)
{
    nvmlReturn_t result = enter(CALL_nvmlGpmSampleFree);
    if (result != NVML_SUCCESS)
        return result;
    if (!known(sample))
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    sample->used = false;
    return leave(NVML_SUCCESS);
}

static nvmlReturn_t take(const struct gpu *gpu, unsigned int mig, nvmlGpmSample_t sample)
{
    unsigned int supported;
    nvmlReturn_t result = number_u32(&gpu->number[N_gpm], &supported);
    if (result != NVML_SUCCESS)
        return result;
    if (supported == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    if (!known(sample))
        return NVML_ERROR_INVALID_ARGUMENT;
    *sample = (struct gpm_sample){true, true, gpu->slot, mig, seconds_now()};
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t handle, nvmlGpmSample_t sample)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlGpmSampleGet, handle, &gpu);
    return result == NVML_SUCCESS ? leave(take(gpu, MAX_MIGS, sample)) : result;
}

nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t handle, unsigned int gpu_instance,
                                 nvmlGpmSample_t sample)
{
    struct gpu *gpu;
    nvmlReturn_t result = enter_gpu(CALL_nvmlGpmMigSampleGet, handle, &gpu);
    if (result != NVML_SUCCESS)
        return result;
    for (unsigned int i = 0; i < MAX_MIGS; i++)
        if (gpu->mig[i].present && gpu->mig[i].number[M_gpu_instance].base == gpu_instance)
            return leave(take(gpu, i, sample));
    return leave(NVML_ERROR_INVALID_ARGUMENT);
}

static void read_metric(const struct number *numbers, double apart, nvmlGpmMetric_t *metric)
{
    metric->value = 0;
    metric->shortName = metric->longName = metric->unit = NULL;
    if (metric->metricId >= MAX_GPM)
        metric->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
    else if (apart < CLOSEST)
        metric->nvmlReturn = NVML_ERROR_NO_DATA;
    else
        metric->nvmlReturn = number_read(&numbers[metric->metricId], &metric->value);
}

nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *query)
{
    const enum call call = CALL_nvmlGpmMetricsGet;
    nvmlGpmSample_t first = query->sample1, second = query->sample2;
    nvmlReturn_t result = enter(call);
    if (result != NVML_SUCCESS)
        return result;
    if (query->version != NVML_GPM_VERSION)
        return leave(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    if (!known(first) || !known(second) || !first->taken || !second->taken)
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    if (first->slot != second->slot || first->mig != second->mig || first->slot >= state->count)
        return leave(NVML_ERROR_INVALID_ARGUMENT);
    const struct gpu *gpu = &state->gpu[first->slot];
    result = gpu_refusal(call, gpu);
    const struct number *numbers = first->mig < MAX_MIGS ? gpu->mig[first->mig].gpm : gpu->gpm;
    for (unsigned int i = 0; result == NVML_SUCCESS && i < query->numMetrics; i++)
        read_metric(numbers, second->time - first->time, &query->metrics[i]);
    return leave(result);
}
