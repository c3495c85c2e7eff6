/* What GPUs answer unless the state file says otherwise, in the file's own words.
 *
 * The H200 is one under load, after a recording of an exporter that asks nvidia-smi; the other two say only
 * where they differ. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static const char *const h200[] = {
    "name = NVIDIA H200",
    "brand = 14",
    "architecture = 9",
    "cuda_capability = 9.0",
    "vbios = 96.00.A5.00.03",
    "pci_device_id = 0x233510DE",
    "pci_subsystem_id = 0x18BE10DE",
    "memory_total = 143771MiB",
    "memory_reserved = 614MiB",
    "memory_used = 129000MiB",
    "bar1_total = 262144MiB",
    "bar1_used = 5MiB",
    "utilization = 97",
    "memory_utilization = 38",
    "encoder_utilization = 0",
    "decoder_utilization = 0",
    "temperature = 52",
    "memory_temperature = 40",
    "temperature_margin = auto",
    "threshold_shutdown = 92",
    "threshold_slowdown = 89",
    "threshold_memory_max = 95",
    "threshold_gpu_max = 87",
    "power = 627.4",
    "power_average = auto",
    "power_instant = 626.26",
    "memory_power_average = 84.5",
    "memory_power_instant = 85.1",
    "module_power_average = NOT_SUPPORTED",
    "module_power_instant = NOT_SUPPORTED",
    "power_limit = 700",
    "power_limit_enforced = 700",
    "power_limit_default = 700",
    "power_limit_min = 200",
    "power_limit_max = 700",
    "energy = 9876543.21 + auto",
    "fan_speed = NOT_SUPPORTED",
    "clock_graphics = 1980",
    "clock_sm = 1980",
    "clock_memory = 3201",
    "clock_video = 1545",
    "clock_max_graphics = 1980",
    "clock_max_sm = 1980",
    "clock_max_memory = 3201",
    "clock_max_video = 1545",
    "clock_event_reasons = 0",
    "clock_event_reasons_supported = 0x1FF",
    "throttle_power_cap = 0",
    "throttle_sync_boost = 0",
    "throttle_sw_thermal = 0",
    "throttle_hw_thermal = 0",
    "throttle_power_brake = 0",
    "performance_state = 0",
    "compute_mode = 0",
    "persistence_mode = 1",
    "display_mode = 0",
    "display_active = 0",
    "ecc_mode = 1",
    "ecc_mode_pending = 1",
    "ecc_corrected_volatile = 0",
    "ecc_corrected_aggregate = 0",
    "ecc_uncorrected_volatile = 0",
    "ecc_uncorrected_aggregate = 0",
    "remapped_correctable = 0",
    "remapped_uncorrectable = 0",
    "remapped_pending = 0",
    "remapped_failure = 0",
    "pcie_replays = 0",
    "pcie_generation = 5",
    "pcie_generation_max = 5",
    "pcie_generation_max_gpu = 5",
    "pcie_width = 16",
    "pcie_width_max = 16",
    "pcie_transmit = 512MiB",
    "pcie_receive = 256MiB",
    "nvlinks = 18",
    "nvlink_speed = 26562",
    "link.*.active = 1",
    "link.*.transmit = 4096GiB + 2GiB/s",
    "link.*.receive = 4096GiB + 2GiB/s",
    "link.*.replays = 0",
    "link.*.recoveries = 0",
    "link.*.crc_errors = 0",
    "link.*.field_state = auto",
    "fabric_state = 3",
    "fabric_status = 0",
    "fabric_clique = 0",
    "fabric_health = 0x1AA",
    "fabric_health_summary = 1",
    "recovery_action = 0",
    "gpm = 1",
    "gpm.1 = 97",
    "gpm.2 = 88.5",
    "gpm.3 = 41.25",
    "gpm.4 = 12",
    "gpm.5 = 52.5",
    "gpm.7 = 50",
    "gpm.9 = 2.5",
    "gpm.10 = 61.75",
    "gpm.11 = 0",
    "gpm.12 = 9.5",
    "gpm.13 = 4.25",
    "gpm.20 = 512",
    "gpm.21 = 256",
    "gpm.60 = 36864",
    "gpm.61 = 36864",
    "mig_mode = 0",
    "mig_mode_pending = 0",
    "event_types = 0x19F",
    NULL,
};

/* An A100 of 40 GB, cut in two. It comes before GPM, T.limit, the fabric's state and power by scope. */
static const char *const a100[] = {
    "name = NVIDIA A100-SXM4-40GB",
    "architecture = 7",
    "cuda_capability = 8.0",
    "vbios = 92.00.45.00.03",
    "pci_device_id = 0x20B010DE",
    "pci_subsystem_id = 0x134F10DE",
    "memory_total = 40960MiB",
    "memory_reserved = 571MiB",
    "memory_used = 1024MiB",
    "bar1_total = 65536MiB",
    "temperature_margin = NOT_SUPPORTED",
    "threshold_gpu_max = 85",
    "power = 310.2",
    "power_instant = auto",
    "memory_power_average = NOT_SUPPORTED",
    "memory_power_instant = NOT_SUPPORTED",
    "power_limit = 400",
    "power_limit_enforced = 400",
    "power_limit_default = 400",
    "power_limit_min = 100",
    "power_limit_max = 400",
    "clock_graphics = 1410",
    "clock_sm = 1410",
    "clock_memory = 1215",
    "clock_video = 1275",
    "clock_max_graphics = 1410",
    "clock_max_sm = 1410",
    "clock_max_memory = 1215",
    "clock_max_video = 1290",
    "pcie_generation = 4",
    "pcie_generation_max = 4",
    "pcie_generation_max_gpu = 4",
    "nvlinks = 12",
    "nvlink_speed = 25781",
    "fabric_state = NOT_SUPPORTED",
    "recovery_action = NOT_SUPPORTED",
    "gpm = 0",
    "mig_mode = 1",
    "mig_mode_pending = 1",
    "mig.0.profile = 3g.20gb",
    "mig.0.gpu_instance = 1",
    "mig.0.memory_total = 19968MiB",
    "mig.0.memory_used = 8192MiB",
    "mig.0.multiprocessors = 42",
    "mig.1.profile = 3g.20gb",
    "mig.1.gpu_instance = 2",
    "mig.1.memory_total = 19968MiB",
    "mig.1.memory_used = 512MiB",
    "mig.1.multiprocessors = 42",
    NULL,
};

/* A card for a desk: fans, and none of what servers have. */
static const char *const consumer[] = {
    "name = NVIDIA GeForce RTX 4090",
    "brand = 5",
    "architecture = 8",
    "cuda_capability = 8.9",
    "serial = ",
    "vbios = 95.02.3C.00.8F",
    "pci_device_id = 0x268410DE",
    "pci_subsystem_id = 0x40BF1458",
    "memory_total = 24564MiB",
    "memory_reserved = 363MiB",
    "memory_used = 18432MiB",
    "bar1_total = 256MiB",
    "memory_temperature = NOT_SUPPORTED",
    "threshold_shutdown = 100",
    "threshold_slowdown = 97",
    "threshold_memory_max = NOT_SUPPORTED",
    "threshold_gpu_max = 90",
    "power = 380.5",
    "power_instant = auto",
    "memory_power_average = NOT_SUPPORTED",
    "memory_power_instant = NOT_SUPPORTED",
    "power_limit = 450",
    "power_limit_enforced = 450",
    "power_limit_default = 450",
    "power_limit_min = 10",
    "power_limit_max = 600",
    "fan_speed = 45",
    "clock_graphics = 2745",
    "clock_sm = 2745",
    "clock_memory = 10501",
    "clock_video = 2130",
    "clock_max_graphics = 3105",
    "clock_max_sm = 3105",
    "clock_max_memory = 10501",
    "clock_max_video = 2415",
    "persistence_mode = 0",
    "ecc_mode = NOT_SUPPORTED",
    "ecc_corrected_volatile = NOT_SUPPORTED",
    "ecc_corrected_aggregate = NOT_SUPPORTED",
    "ecc_uncorrected_volatile = NOT_SUPPORTED",
    "ecc_uncorrected_aggregate = NOT_SUPPORTED",
    "remapped_correctable = NOT_SUPPORTED",
    "pcie_generation = 4",
    "pcie_generation_max = 4",
    "pcie_generation_max_gpu = 4",
    "nvlinks = 0",
    "fabric_state = NOT_SUPPORTED",
    "recovery_action = NOT_SUPPORTED",
    "gpm = 0",
    "mig_mode = NOT_SUPPORTED",
    "event_types = 0x18",
    NULL,
};

static const struct {
    const char *name;
    const char *const *lines;
} presets[] = {{"h200", h200}, {"a100", a100}, {"consumer", consumer}};

const char *preset_known(const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strcmp(presets[i].name, name) == 0)
            return presets[i].name;
    return NULL;
}

static void apply(struct gpu *gpu, const char *const *lines)
{
    for (; *lines != NULL; lines++) {
        char line[TEXT_SIZE], *key, *value;
        snprintf(line, sizeof line, "%s", *lines);
        if (!split(line, &key, &value) || !parse_gpu(gpu, key, value)) {
            fprintf(stderr, "fake NVML: preset %s: %s\n", gpu->model, *lines);
            abort();
        }
    }
}

void preset_apply(struct gpu *gpu)
{
    for (unsigned int metric = 0; metric < MAX_GPM; metric++)
        gpu->gpm[metric].error = NVML_ERROR_NOT_SUPPORTED;
    apply(gpu, h200);
    for (size_t i = 1; i < sizeof presets / sizeof *presets; i++)
        if (gpu->model == presets[i].name)
            apply(gpu, presets[i].lines);
}
