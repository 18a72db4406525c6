/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/precision.h
 * The functions that exist twice. In the f64 pass (-DOL_F64) each name here stands for the same
 * name with the suffix _f64, so that both precisions can live in one program. A test compares the
 * symbols of the two builds; a function missing here fails it.
 */
#ifndef OUTERLOOP_BASE_PRECISION_H
#define OUTERLOOP_BASE_PRECISION_H

#ifdef OL_F64
#define ol_adam_adjoint ol_adam_adjoint_f64
#define ol_adam_decay ol_adam_decay_f64
#define ol_adam_replay ol_adam_replay_f64
#define ol_adam_step ol_adam_step_f64
#define ol_adapter_config_finish ol_adapter_config_finish_f64
#define ol_adapter_trained ol_adapter_trained_f64
#define ol_attention ol_attention_f64
#define ol_batch_extent ol_batch_extent_f64
#define ol_bench ol_bench_f64
#define ol_bf16_from_reals ol_bf16_from_reals_f64
#define ol_bf16_to_reals ol_bf16_to_reals_f64
#define ol_chunk_bounds ol_chunk_bounds_f64
#define ol_chunk_fill ol_chunk_fill_f64
#define ol_chunk_fill_shared ol_chunk_fill_shared_f64
#define ol_chunk_layout ol_chunk_layout_f64
#define ol_chunk_rows ol_chunk_rows_f64
#define ol_config_read_adapter ol_config_read_adapter_f64
#define ol_config_read_model ol_config_read_model_f64
#define ol_conv1d ol_conv1d_f64
#define ol_cross_entropy_adjoint ol_cross_entropy_adjoint_f64
#define ol_cross_entropy_loss ol_cross_entropy_loss_f64
#define ol_cross_entropy_scratch ol_cross_entropy_scratch_f64
#define ol_embedding ol_embedding_f64
#define ol_extent_max ol_extent_max_f64
#define ol_families ol_families_f64
#define ol_frozen_put ol_frozen_put_f64
#define ol_gelu ol_gelu_f64
#define ol_gemm_flops ol_gemm_flops_f64
#define ol_gemm_library ol_gemm_library_f64
#define ol_gemm_nn ol_gemm_nn_f64
#define ol_gemm_nt ol_gemm_nt_f64
#define ol_gemm_threads ol_gemm_threads_f64
#define ol_gemm_tn ol_gemm_tn_f64
#define ol_graph_bind ol_graph_bind_f64
#define ol_graph_build ol_graph_build_f64
#define ol_graph_destroy ol_graph_destroy_f64
#define ol_inner_step ol_inner_step_f64
#define ol_kept_layout ol_kept_layout_f64
#define ol_kept_slots ol_kept_slots_f64
#define ol_layernorm ol_layernorm_f64
#define ol_learner_adapt ol_learner_adapt_f64
#define ol_learner_adapt_bytes ol_learner_adapt_bytes_f64
#define ol_learner_bytes ol_learner_bytes_f64
#define ol_learner_carries_m ol_learner_carries_m_f64
#define ol_learner_carries_v ol_learner_carries_v_f64
#define ol_learner_episode ol_learner_episode_f64
#define ol_learner_start_moments ol_learner_start_moments_f64
#define ol_learner_steps ol_learner_steps_f64
#define ol_linear ol_linear_f64
#define ol_lowrank ol_lowrank_f64
#define ol_meta_step ol_meta_step_f64
#define ol_meta_stepper_create ol_meta_stepper_create_f64
#define ol_meta_stepper_destroy ol_meta_stepper_destroy_f64
#define ol_meta_stepper_inner_losses ol_meta_stepper_inner_losses_f64
#define ol_meta_stepper_observe ol_meta_stepper_observe_f64
#define ol_meta_stepper_records ol_meta_stepper_records_f64
#define ol_model_create ol_model_create_f64
#define ol_model_destroy ol_model_destroy_f64
#define ol_model_families ol_model_families_f64
#define ol_model_field_get ol_model_field_get_f64
#define ol_model_field_set ol_model_field_set_f64
#define ol_model_fields ol_model_fields_f64
#define ol_model_frozen ol_model_frozen_f64
#define ol_model_param ol_model_param_f64
#define ol_model_random ol_model_random_f64
#define ol_model_spans ol_model_spans_f64
#define ol_objective_bytes ol_objective_bytes_f64
#define ol_objective_grad ol_objective_grad_f64
#define ol_objective_hvp ol_objective_hvp_f64
#define ol_objective_losses ol_objective_losses_f64
#define ol_outer_update ol_outer_update_f64
#define ol_pick ol_pick_f64
#define ol_positions ol_positions_f64
#define ol_residual ol_residual_f64
#define ol_rmsnorm ol_rmsnorm_f64
#define ol_rope_scalings ol_rope_scalings_f64
#define ol_rotary ol_rotary_f64
#define ol_rotary_angles ol_rotary_angles_f64
#define ol_schedule_rate ol_schedule_rate_f64
#define ol_sgd_step ol_sgd_step_f64
#define ol_shared_layout ol_shared_layout_f64
#define ol_slot_kinds ol_slot_kinds_f64
#define ol_slot_width ol_slot_width_f64
#define ol_state_layout ol_state_layout_f64
#define ol_swiglu ol_swiglu_f64
#define ol_tape_layout ol_tape_layout_f64
#define ol_trajectory_backward ol_trajectory_backward_f64
#define ol_trajectory_first_order ol_trajectory_first_order_f64
#define ol_trajectory_forward ol_trajectory_forward_f64
#define ol_trajectory_layout ol_trajectory_layout_f64
#define ol_vector_axpy ol_vector_axpy_f64
#define ol_vector_distance ol_vector_distance_f64
#define ol_vector_dot ol_vector_dot_f64
#define ol_vector_finite ol_vector_finite_f64
#define ol_vector_norm ol_vector_norm_f64
#define ol_vector_scale ol_vector_scale_f64
#define ol_vector_zero ol_vector_zero_f64
#define ol_verify_case_finish ol_verify_case_finish_f64
#define ol_verify_case_read ol_verify_case_read_f64
#define ol_verify_file ol_verify_file_f64
#define ol_verify_read_flat ol_verify_read_flat_f64
#define ol_vmath_exp ol_vmath_exp_f64
#define ol_walk_backward ol_walk_backward_f64
#define ol_walk_forward ol_walk_forward_f64
#define ol_walk_losses ol_walk_losses_f64
#define ol_walk_scratch ol_walk_scratch_f64
#define ol_wanted_slots ol_wanted_slots_f64
#define ol_weight_nn ol_weight_nn_f64
#define ol_weight_nt ol_weight_nt_f64
#define ol_weight_row ol_weight_row_f64
#define ol_weight_scratch ol_weight_scratch_f64
#endif

#endif
