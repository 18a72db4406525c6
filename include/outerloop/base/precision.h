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
#define ol_adam_replay ol_adam_replay_f64
#define ol_adam_step ol_adam_step_f64
#define ol_attention_backward ol_attention_backward_f64
#define ol_attention_forward ol_attention_forward_f64
#define ol_attention_scratch ol_attention_scratch_f64
#define ol_batch_extent ol_batch_extent_f64
#define ol_bench ol_bench_f64
#define ol_buffers_layout ol_buffers_layout_f64
#define ol_chunk_bounds ol_chunk_bounds_f64
#define ol_chunk_fill ol_chunk_fill_f64
#define ol_chunk_layout ol_chunk_layout_f64
#define ol_cross_entropy_adjoint ol_cross_entropy_adjoint_f64
#define ol_cross_entropy_loss ol_cross_entropy_loss_f64
#define ol_cross_entropy_scratch ol_cross_entropy_scratch_f64
#define ol_embedding_backward ol_embedding_backward_f64
#define ol_embedding_forward ol_embedding_forward_f64
#define ol_extent_max ol_extent_max_f64
#define ol_gelu_backward ol_gelu_backward_f64
#define ol_gelu_forward ol_gelu_forward_f64
#define ol_gemm_flops ol_gemm_flops_f64
#define ol_gemm_library ol_gemm_library_f64
#define ol_gemm_nn ol_gemm_nn_f64
#define ol_gemm_nt ol_gemm_nt_f64
#define ol_gemm_threads ol_gemm_threads_f64
#define ol_gemm_tn ol_gemm_tn_f64
#define ol_inner_step ol_inner_step_f64
#define ol_layernorm_backward ol_layernorm_backward_f64
#define ol_layernorm_forward ol_layernorm_forward_f64
#define ol_learner_adapt ol_learner_adapt_f64
#define ol_learner_adapt_bytes ol_learner_adapt_bytes_f64
#define ol_learner_bytes ol_learner_bytes_f64
#define ol_learner_carries_m ol_learner_carries_m_f64
#define ol_learner_carries_v ol_learner_carries_v_f64
#define ol_learner_episode ol_learner_episode_f64
#define ol_learner_name ol_learner_name_f64
#define ol_learner_start_moments ol_learner_start_moments_f64
#define ol_learner_steps ol_learner_steps_f64
#define ol_linear_backward ol_linear_backward_f64
#define ol_linear_forward ol_linear_forward_f64
#define ol_meta_step ol_meta_step_f64
#define ol_meta_stepper_bytes ol_meta_stepper_bytes_f64
#define ol_meta_stepper_create ol_meta_stepper_create_f64
#define ol_meta_stepper_delta ol_meta_stepper_delta_f64
#define ol_meta_stepper_destroy ol_meta_stepper_destroy_f64
#define ol_meta_stepper_inner_losses ol_meta_stepper_inner_losses_f64
#define ol_meta_stepper_records ol_meta_stepper_records_f64
#define ol_model_create ol_model_create_f64
#define ol_model_destroy ol_model_destroy_f64
#define ol_model_param ol_model_param_f64
#define ol_model_random ol_model_random_f64
#define ol_model_spans ol_model_spans_f64
#define ol_objective_bytes ol_objective_bytes_f64
#define ol_objective_grad ol_objective_grad_f64
#define ol_objective_hvp ol_objective_hvp_f64
#define ol_objective_losses ol_objective_losses_f64
#define ol_outer_update ol_outer_update_f64
#define ol_rows_gather ol_rows_gather_f64
#define ol_rows_scatter ol_rows_scatter_f64
#define ol_schedule_rate ol_schedule_rate_f64
#define ol_sgd_step ol_sgd_step_f64
#define ol_state_layout ol_state_layout_f64
#define ol_statistics_layout ol_statistics_layout_f64
#define ol_tape_layout ol_tape_layout_f64
#define ol_trajectory_backward ol_trajectory_backward_f64
#define ol_trajectory_forward ol_trajectory_forward_f64
#define ol_trajectory_layout ol_trajectory_layout_f64
#define ol_vector_axpy ol_vector_axpy_f64
#define ol_vector_distance ol_vector_distance_f64
#define ol_vector_dot ol_vector_dot_f64
#define ol_vector_finite ol_vector_finite_f64
#define ol_vector_norm ol_vector_norm_f64
#define ol_vector_scale ol_vector_scale_f64
#define ol_vector_zero ol_vector_zero_f64
#define ol_verify_file ol_verify_file_f64
#define ol_vmath_exp ol_vmath_exp_f64
#define ol_vmath_tanh ol_vmath_tanh_f64
#define ol_walk_backward ol_walk_backward_f64
#define ol_walk_forward ol_walk_forward_f64
#define ol_walk_losses ol_walk_losses_f64
#define ol_walk_scratch ol_walk_scratch_f64
#endif

#endif
