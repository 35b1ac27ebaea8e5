// The window for kohya's scripts (kohya_gui/lora_gui.py) saves every field that it has, also those that the chosen kind of model
// and adapter never look at. What it would hand to the scripts is what counts.
import { optionsOf, type Raw } from './imported-settings.ts';

export interface WindowSettings {
  readonly own: Raw;
  readonly left: readonly string[];
}

/** Switches for kinds of models that Adora does not train. */
const OTHERS: Readonly<Record<string, string>> = { flux1_checkbox: 'FLUX.1', sd3_checkbox: 'Stable Diffusion 3', hunyuan_image_checkbox: 'HunyuanImage', anima_checkbox: 'Anima', lumina_checkbox: 'Lumina 2' };

/** Fields for those. */
const OF_OTHERS = new RegExp(`^(?:${[
  '(?:flux1|sd3|hunyuan|anima|lumina)_.*', 't5xxl.*', 'clip_[lg]', 'clip_g_dropout_rate', 'ae', 'model_type', 'discrete_flow_shift', 'model_prediction_type', 'timestep_sampling', 'guidance_scale', 'apply_t5_attn_mask', 'split_(?:mode|qkv)', 'train_t5xxl', 'train_blocks',
  '(?:single_|double_)?blocks_to_swap', 'show_timesteps.*', '(?:img|txt)_(?:attn|mlp|mod)_dim', 'single_(?:mod_)?dim', 'in_dims', 'train_(?:double|single)_block_indices', 'enable_all_linear', 'mem_eff_save', 'cpu_offload_checkpointing', 'train_lora_ggpo', 'ggpo_.*',
  'logit_(?:mean|std)', 'mode_scale', 'pos_emb_random_crop_rate', 'save_(?:clip|t5xxl)', 'weighting_scheme',
].join('|')})$`);

/** Fields that only some kinds of adapters look at. */
const OF_KINDS: readonly (readonly [RegExp, RegExp])[] = [
  [/^(?:LyCORIS_preset|dora_wd|bypass_mode|train_norm|use_tucker|use_scalar|rank_dropout_scale)$/, /LyCORIS|^LoCon$/],
  [/^conv_(?:dim|alpha)$/, /LyCORIS|LoCon|DyLoRA|LoHa|LoKr/],
  [/^(?:(?:down|mid|up)_lr_weight|block_.*|conv_block_.*)$/, /^(?:Standard|Kohya LoCon|LoRA-FA|Kohya DyLoRA)$/],
  [/^unit$/, /DyLoRA/], [/^(?:factor|decompose_both|use_cp)$/, /LoKr/], [/^train_on_input$/, /iA3/], [/^(?:constrain|rescaled)$/, /OFT/],
];

export function settingsOfWindow(raw: Raw): WindowSettings {
  const { additional_parameters: more, noise_offset_type: noise, ...fields } = raw;
  const type = typeof raw['LoRA_type'] === 'string' ? raw['LoRA_type'] : '';
  const ticked = Object.keys(OTHERS).filter((name) => raw[name] === true);
  const unused = (name: string): boolean => OF_OTHERS.test(name) || OF_KINDS.some(([pattern, kinds]) => pattern.test(name) && !kinds.test(type))
    || (noise === 'Multires' ? /^(?:noise_offset|adaptive_noise_scale)/ : noise === 'Original' ? /^multires_noise/ : /^$/).test(name) || (name === 'block_lr_zero_threshold' && !raw['down_lr_weight'] && !raw['mid_lr_weight'] && !raw['up_lr_weight']);
  const cycles = fields['lr_scheduler_num_cycles'] === '' ? { lr_scheduler_num_cycles: fields['epoch'] } : {};
  return {
    // What is typed in for the command line wins over the file, as in the scripts.
    own: { ...Object.fromEntries(Object.entries(fields).filter(([name]) => !unused(name))), ...cycles, ...(typeof more === 'string' ? optionsOf(more) : {}) },
    left: ticked.map((name) => `${name} (${OTHERS[name]!}, which Adora does not train so far)`),
  };
}
