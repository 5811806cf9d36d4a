from .beside import explain_contestant as explain_contestant
from .beside import keep_explanations as keep_explanations
from .features import hog_glyphs as hog_glyphs
from .features import lbp_codes as lbp_codes
from .hiding import occlusion as occlusion
from .hiding import rise as rise
from .network import attention_rollout as attention_rollout
from .network import grad_cam as grad_cam
