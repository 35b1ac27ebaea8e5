// Names in which other programs and older versions store what kohya's or PEFT's layout has another name for.
import { DORA_SCALE, MAGNITUDE, type DoraAxis } from './format.ts';

/** Before the original names of a UNet's layers, with dots. */
const ORIGINAL = 'diffusion_model.';

/** Middle tensor of a convolution in Tucker form: `<layer>.lora_mid.weight`. */
export const MIDDLE = /^(.+)\.lora_mid\.weight$/;

/** What files that leave the component out begin with: layers of the UNet by diffusers' names or the original ones, or of a text encoder. */
const components: readonly (readonly [RegExp, string])[] = [
  [/^(?:down_blocks|mid_block|up_blocks|conv_in|conv_out|time_embedding|add_embedding)\./, 'unet.'],
  [/^(?:input_blocks|middle_block|output_blocks|time_embed|label_emb|out)\./, ORIGINAL],
  [/^(?:text_model|encoder\.layers)\./, 'text_encoder.'],
];

const DOTTED = String.raw`^((?:unet|text_encoder(?:_2)?|diffusion_model)\..+)`;

/** Each rule takes one spelling of a layer away; all are tried, in this order. */
const places: readonly (readonly [RegExp, string])[] = [
  // PEFT's own state dict of a model without components.
  [/^base_model\.model\./, ''],
  // Nerogar/OneTrainer modules/model/StableDiffusionModel.py and StableDiffusionXLModel.py (lora_text_encoders): its format for ComfyUI.
  [/^text_encoders\.clip_[lh]\.transformer\./, 'text_encoder.'],
  [/^text_encoders\.clip_g\.transformer\./, 'text_encoder_2.'],
];

/** transformers has had no `text_model` around the layers of CLIPTextModel since version 5, and what is trained with it neither. */
const bareText: readonly (readonly [RegExp, string])[] = [
  [/^(text_encoder(?:_2)?)\.encoder\./, '$1.text_model.encoder.'],
  [/^(lora_te[12]?)_encoder_/, '$1_text_model_encoder_'],
];

/** The same for the endings. */
const endings: readonly (readonly [RegExp, string])[] = [
  // The attention processors of old diffusers: `attn1.processor.to_q_lora.down.weight`.
  [/\.processor\.(to_[qkv]|to_out)_lora\.(down|up)\.weight$/, '.$1.lora.$2.weight'],
  [/\.to_out\.lora\.(down|up)\.weight$/, '.to_out.0.lora.$1.weight'],
  [/\.(?:lora|lora_linear_layer)\.down\.weight$/, '.lora_A.weight'],
  [/\.(?:lora|lora_linear_layer)\.up\.weight$/, '.lora_B.weight'],
  // Text encoders of old diffusers: huggingface/diffusers utils/state_dict_utils.py (DIFFUSERS_OLD_TO_DIFFUSERS).
  [/\.self_attn\.to_([qkv]|out)_lora\.down\.weight$/, '.self_attn.$1_proj.lora_A.weight'],
  [/\.self_attn\.to_([qkv]|out)_lora\.up\.weight$/, '.self_attn.$1_proj.lora_B.weight'],
  // Dotted layer names with kohya's endings: Nerogar/OneTrainer modules/modelSaver/mixin/LoRASaverMixin.py (_save_internal), and
  // modules/util/convert_lora_util.py (convert_to_diffusers, which leaves magnitudes of inputs as they are).
  [new RegExp(String.raw`${DOTTED}\.lora_down\.weight$`), '$1.lora_A.weight'],
  [new RegExp(String.raw`${DOTTED}\.lora_up\.weight$`), '$1.lora_B.weight'],
  [new RegExp(String.raw`${DOTTED}\.(?:magnitude|${DORA_SCALE})$`), `$1.${MAGNITUDE}`],
  // ostris/ai-toolkit toolkit/models/DoRA.py: `magnitude` [O]; toolkit/network_mixins.py (get_state_dict): flat names, or dotted ones for PEFT.
  [/\.magnitude$/, `.${DORA_SCALE}`],
  // Flat layer names with PEFT's endings.
  [/^((?:lora_(?:unet|te|te1|te2)|lycoris)_[^.]+)\.lora_A(?:\.default)?\.weight$/, '$1.lora_down.weight'],
  [/^((?:lora_(?:unet|te|te1|te2)|lycoris)_[^.]+)\.lora_B(?:\.default)?\.weight$/, '$1.lora_up.weight'],
];

/** huggingface/diffusers utils/state_dict_utils.py (convert_state_dict_to_kohya) leaves the last dot of a layer, and PEFT's word for magnitudes. */
const FLAT_VECTOR = new RegExp(String.raw`^(lora_(?:unet|te|te1|te2)_.+)\.${MAGNITUDE}(?:\.weight)?$`);

/** A tensor's name in the words of kohya's or PEFT's layout; names that no rule knows stay. */
export function canonicalKey(key: string): string {
  const vector = FLAT_VECTOR.exec(key)?.[1];
  if (vector !== undefined) return `${replaced(vector.replaceAll('.', '_'), bareText)}.${DORA_SCALE}`;
  const bare = replaced(key, places);
  const component = components.find(([pattern]) => pattern.test(bare))?.[1] ?? '';
  return replaced(replaced(component + bare, bareText), endings);
}

const replaced = (name: string, rules: readonly (readonly [RegExp, string])[]): string =>
  rules.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), name);

/** The axis that a magnitude's name alone tells: vectors of ai-toolkit and PEFT belong to rows. */
export const vectorAxis = (key: string): DoraAxis | null => (key.endsWith('.magnitude') || FLAT_VECTOR.test(key) ? 'output' : null);

export interface OtherAdapter {
  /** For lists. */
  readonly label: string;
  /** For sentences: `"x" is …`. */
  readonly text: string;
}

const others: readonly (readonly [end: RegExp, label: string, text: string])[] = [
  [/\.hada_(?:w[12]_[ab]|t[12])$/, 'LoHa', 'a LoHa (a product of two low-rank changes)'],
  [/\.lokr_(?:w[12](?:_[ab])?|t2)$/, 'LoKr', 'a LoKr (a Kronecker product)'],
  [/\.oft_(?:blocks|diag)$/, 'OFT', 'an OFT or BOFT (a rotation of the weights)'],
  [/\.(?:a1|a2|b1|b2|bm1|bm2)\.weight$/, 'GLoRA', 'a GLoRA'],
  [/\.on_input$/, 'IA3', 'an IA3 (factors of channels)'],
  [/\.(?:diff|diff_b|set_weight)$/, 'difference', 'a set of whole differences of weights'],
  [/\.(?:w_norm|b_norm)$/, 'norms', 'a change of norm layers'],
  [/\.lora_(?:up|B)\.(?:default\.)?bias$/, 'LoRA with biases', 'a LoRA with biases of its own'],
  [/^(?:emb_params$|string_to_param\b|clip_[lg]$|bundle_emb\b)/, 'embedding', 'an embedding (textual inversion)'],
];

/** What adapter of another kind the tensors belong to; null when nothing tells. */
export function otherAdapter(keys: Iterable<string>): OtherAdapter | null {
  for (const key of keys) for (const [pattern, label, text] of others) if (pattern.test(key)) return { label, text };
  return null;
}

/** The same for a message. */
export const otherKind = (keys: Iterable<string>): string | null => otherAdapter(keys)?.text ?? null;
