/* MedVision's own strings, byte for byte (CC-BY 4.0, see NOTICE); made by prompt_strings.py. */
#ifndef MV_TASKS_PROMPT_STRINGS_H
#define MV_TASKS_PROMPT_STRINGS_H

#ifdef __cplusplus
extern "C" {
#endif

extern const char mv_system_prompt[];

/* The steps asked for; each ends with a space. */
extern const char mv_cot_instruct_detection[];
extern const char mv_cot_instruct_tl_norm[];
extern const char mv_cot_instruct_distance[];
extern const char mv_cot_instruct_angle[];

/* The form of the answer. */
extern const char mv_format_prompt_box_coordinates[];
extern const char mv_format_prompt_detection_reasoning[];
extern const char mv_format_prompt_tumor_lesion_size[];
extern const char mv_format_prompt_tl_reasoning[];
extern const char mv_format_prompt_biometrics[];
extern const char mv_format_prompt_ad_reasoning[];

/* What the model was trained to answer; <slots> are filled by cot_targets.c. */
extern const char mv_cot_template_detection[];
extern const char mv_cot_template_tl_norm[];
extern const char mv_cot_template_distance[];
extern const char mv_cot_template_angle[];

#ifdef __cplusplus
}
#endif
#endif
